// Classifier-free guidance: out = uncond + scale (cond - uncond).
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct GuidanceParams {
  TensorView cond;    ///< any shape, f32 or bf16
  TensorView uncond;  ///< like cond
  double scale = 1;
  TensorView out;  ///< f32, same shape
};
/// For bf16 inputs each of the three operations is rounded to bf16, as PyTorch does.

void guidance(const GuidanceParams& params, Context& context);
const ImplementationList<GuidanceParams>& guidance_implementations();

}  // namespace sparsevid::ops
