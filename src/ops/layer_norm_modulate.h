// out = LayerNorm(x) (1 + scale) + shift: the adaptive norm of diffusion transformers.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct LayerNormModulateParams {
  TensorView x;      ///< [rows, dim] f32 or bf16
  TensorView scale;  ///< [dim] f32
  TensorView shift;  ///< [dim] f32
  double epsilon = 1e-6;
  TensorView out;  ///< [rows, dim] f32 or bf16; may be x
};
/// All in f32, one rounding at the output.

void layer_norm_modulate(const LayerNormModulateParams& params, Context& context);
const ImplementationList<LayerNormModulateParams>& layer_norm_modulate_implementations();

}  // namespace sparsevid::ops
