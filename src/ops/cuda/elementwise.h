// Ops that compute each element from the elements at its place.
#pragma once

#include "ops/activate.h"
#include "ops/gated_residual.h"
#include "ops/guidance.h"
#include "ops/linear_combination.h"
#include "ops/to_rgb8.h"

namespace sparsevid::ops::cuda {

void activate(const ActivateParams& params, Context& context);
void gated_residual(const GatedResidualParams& params, Context& context);
void guidance(const GuidanceParams& params, Context& context);
void linear_combination(const LinearCombinationParams& params, Context& context);
void to_rgb8(const ToRgb8Params& params, Context& context);

}  // namespace sparsevid::ops::cuda
