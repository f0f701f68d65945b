// Attention over chosen pairs of clusters, tile by tile.
#pragma once

#include "ops/block_sparse_attention.h"
#include "ops/cpu/attention_tile.h"

namespace sparsevid::ops::cpu {

void block_sparse_attention(const AttentionKernel& kernel, const BlockSparseAttentionParams& params,
                            Context& context);

}  // namespace sparsevid::ops::cpu
