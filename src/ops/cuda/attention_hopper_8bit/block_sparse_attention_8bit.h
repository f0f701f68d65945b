// Block-sparse attention in 8 bits with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/block_sparse_attention_8bit.h"

namespace sparsevid::ops::cuda {

/// bf16, head_dim 64 or 128; strides of q, k, v, out of whole 16-byte units.
std::string block_sparse_attention_8bit_hopper_refusal(const BlockSparseAttention8bitParams& params,
                                                       const Context& context);
/// Scratch: rounded queries, keys and values of as many heads as fit in 1.2 GB.
void block_sparse_attention_8bit_hopper(const BlockSparseAttention8bitParams& params,
                                        Context& context);

}  // namespace sparsevid::ops::cuda
