// out = sum of coefficient_i x_i: every update of a sampler.
#pragma once

#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct LinearCombinationParams {
  struct Term {
    TensorView x;  ///< f32, contiguous, the shape of out
    double coefficient;
  };
  std::vector<Term> terms;
  TensorView out;  ///< f32; may be one of the x
};

void linear_combination(const LinearCombinationParams& params, Context& context);
const ImplementationList<LinearCombinationParams>& linear_combination_implementations();

}  // namespace sparsevid::ops
