// Block-sparse attention with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/block_sparse_attention.h"

namespace sparsevid::ops::cuda {

/// bf16, head_dim 64 or 128; strides of q, k, v, out of whole 16-byte units.
std::string block_sparse_attention_hopper_refusal(const BlockSparseAttentionParams& params,
                                                  const Context& context);
/// Scratch: keys and values of as many heads as fit in 1 GiB, in cluster order.
void block_sparse_attention_hopper(const BlockSparseAttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
