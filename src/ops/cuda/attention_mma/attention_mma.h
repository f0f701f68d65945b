// Attention with mma.sync, for bf16 on any GPU from compute capability 8.0 on: dense, over chosen
// pairs of clusters, and in a band. All three run the main loop of tile_loop.h.
#pragma once

#include <string>

#include "ops/attention.h"
#include "ops/band_attention.h"
#include "ops/block_sparse_attention.h"

namespace sparsevid::ops::cuda {

/// What these refuse: other types than bf16, rows that are not made of whole 16-byte chunks, heads
/// wider than 128.
std::string attention_mma_refusal(const AttentionParams& params, const Context& context);
void attention_mma(const AttentionParams& params, Context& context);

std::string block_sparse_attention_mma_refusal(const BlockSparseAttentionParams& params,
                                               const Context& context);
void block_sparse_attention_mma(const BlockSparseAttentionParams& params, Context& context);

std::string band_attention_mma_refusal(const BandAttentionParams& params, const Context& context);
void band_attention_mma(const BandAttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
