// RMSNorm over the last axis: x rsqrt(mean(x^2) + epsilon) weight.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct RmsNormParams {
  TensorView x;       ///< [rows, dim] f32 or bf16; rows may be strided
  TensorView weight;  ///< [dim] f32
  double epsilon = 1e-6;
  TensorView out;  ///< [rows, dim], dtype of x; may be x
};

void rms_norm(const RmsNormParams& params, Context& context);
const ImplementationList<RmsNormParams>& rms_norm_implementations();

}  // namespace sparsevid::ops
