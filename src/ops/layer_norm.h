// LayerNorm over the last axis, with optional affine weights.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct LayerNormParams {
  TensorView x;       ///< [rows, dim] f32 or bf16
  TensorView weight;  ///< [dim] f32; may be undefined
  TensorView bias;    ///< [dim] f32; may be undefined
  double epsilon = 1e-6;
  TensorView out;  ///< [rows, dim] f32 or bf16; may be x
};
/// Statistics and arithmetic in f32, one rounding at the output.

void layer_norm(const LayerNormParams& params, Context& context);
const ImplementationList<LayerNormParams>& layer_norm_implementations();

}  // namespace sparsevid::ops
