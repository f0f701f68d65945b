// out = activation(x) [* factor]: elementwise, with an optional second factor for gated MLPs.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/activation_kind.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ActivateParams {
  TensorView x;       ///< any shape, contiguous, f32 or bf16
  TensorView factor;  ///< shape and dtype of x; may be undefined
  Activation activation = Activation::none;
  TensorView out;  ///< shape and dtype of x; may be x
};

void activate(const ActivateParams& params, Context& context);
const ImplementationList<ActivateParams>& activate_implementations();

}  // namespace sparsevid::ops
