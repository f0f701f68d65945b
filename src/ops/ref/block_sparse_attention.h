// block_sparse_attention in fp64, query by query.
#pragma once

#include "ops/block_sparse_attention.h"

namespace sparsevid::ops::ref {

void block_sparse_attention(const BlockSparseAttentionParams& params, Context& context);

}  // namespace sparsevid::ops::ref
