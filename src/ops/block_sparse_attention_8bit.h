// Block-sparse attention whose matrix products are of 8-bit numbers: to block_sparse_attention()
// what attention_8bit() is to attention().
#pragma once

#include "ops/block_sparse_attention.h"

namespace sparsevid::ops {

struct BlockSparseAttention8bitParams : BlockSparseAttentionParams {
  using Fields = BlockSparseAttentionParams;  // tensor_fields.h
};
/// What is rounded, and how, is an implementation's choice, within what attention_8bit.h says; of
/// centroids too. The reference rounds nothing.

void block_sparse_attention_8bit(const BlockSparseAttention8bitParams& params, Context& context);
const ImplementationList<BlockSparseAttention8bitParams>&
block_sparse_attention_8bit_implementations();

}  // namespace sparsevid::ops
