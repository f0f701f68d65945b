// x += y gate: the residual of an adaptive block.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct GatedResidualParams {
  TensorView x;     ///< [rows, dim] f32 or bf16, read and written
  TensorView y;     ///< [rows, dim], dtype of x
  TensorView gate;  ///< [dim] f32; undefined: 1
};
/// In f32, one rounding.

void gated_residual(const GatedResidualParams& params, Context& context);
const ImplementationList<GatedResidualParams>& gated_residual_implementations();

}  // namespace sparsevid::ops
