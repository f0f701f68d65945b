// RMSNorm of queries or keys over all heads, then the rotary embedding, in one pass.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct RmsNormRopeParams {
  TensorView x;       ///< [seq_len, heads, head_dim] f32 or bf16; rows may be strided
  TensorView weight;  ///< [heads * head_dim] f32; the norm runs over heads * head_dim values
  double epsilon = 1e-6;
  TensorView cos;  ///< [seq_len, head_dim / 2] f32; undefined: no rotation
  TensorView sin;  ///< [seq_len, head_dim / 2] f32
  TensorView out;  ///< [seq_len, heads, head_dim], dtype of x; rows may be strided; may be x
};
/// Pairs are adjacent elements (2i, 2i+1), as Wan and HunyuanVideo rotate.

void rms_norm_rope(const RmsNormRopeParams& params, Context& context);
const ImplementationList<RmsNormRopeParams>& rms_norm_rope_implementations();

}  // namespace sparsevid::ops
