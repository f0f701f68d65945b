// Dense softmax attention: every query sees every key.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct AttentionParams {
  TensorView q;    ///< [heads, q_len, head_dim] f32 or bf16; any strides but a contiguous last axis
  TensorView k;    ///< [heads, k_len, head_dim], dtype of q
  TensorView v;    ///< [heads, k_len, head_dim], dtype of q
  TensorView out;  ///< [heads, q_len, head_dim], dtype of q, any strides but a contiguous last axis
  double scale = 1;
  TensorView bias;  ///< [heads, q_len, k_len] f32, added to the scaled logits; may be undefined
  TensorView
      key_bias;  ///< [k_len] f32, added to the scaled logits; -inf masks a key; may be undefined
};
/// Softmax and sums in f32. A query whose keys are all masked gets zeros.

void attention(const AttentionParams& params, Context& context);
const ImplementationList<AttentionParams>& attention_implementations();

}  // namespace sparsevid::ops
