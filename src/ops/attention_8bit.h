// Dense softmax attention whose matrix products are of 8-bit numbers: less exact than attention(),
// so it is an op of its own, for those who ask for it.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct Attention8bitParams {
  TensorView q;    ///< [heads, q_len, head_dim] f32 or bf16; any strides but a contiguous last axis
  TensorView k;    ///< [heads, k_len, head_dim], dtype of q; at least one key
  TensorView v;    ///< [heads, k_len, head_dim], dtype of q
  TensorView out;  ///< [heads, q_len, head_dim], dtype of q, any strides but a contiguous last axis
  double scale = 1;
};
/// What is rounded, and how, is an implementation's choice, within this: on normally distributed
/// inputs with logits of standard deviation 1 the relative error of the output is below 5 %; a few
/// channels of q and k that are many times larger than the others, or a mean that keys or values
/// share, add little to it. The reference rounds nothing.

void attention_8bit(const Attention8bitParams& params, Context& context);
const ImplementationList<Attention8bitParams>& attention_8bit_implementations();

}  // namespace sparsevid::ops
