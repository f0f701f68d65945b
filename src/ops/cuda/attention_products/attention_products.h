// Attention as two matrix products with the softmax between them in memory: for what the kernels of
// attention_mma refuse. f32 stays f32 throughout; bf16 heads wider than 128 (a VAE's) run on the
// tensor cores; anything else is computed in f32. Sparse attention is computed densely here, and
// masked: exact, not fast.
#pragma once

#include <string>

#include "ops/attention.h"
#include "ops/band_attention.h"
#include "ops/block_sparse_attention.h"

namespace sparsevid::ops::cuda {

std::string attention_products_refusal(const AttentionParams& params, const Context& context);
void attention_products(const AttentionParams& params, Context& context);

std::string block_sparse_attention_products_refusal(const BlockSparseAttentionParams& params,
                                                    const Context& context);
void block_sparse_attention_products(const BlockSparseAttentionParams& params, Context& context);

std::string band_attention_products_refusal(const BandAttentionParams& params,
                                            const Context& context);
void band_attention_products(const BandAttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
