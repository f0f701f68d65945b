// The truth of ops/linear_combination.h.
#pragma once

#include "ops/linear_combination.h"

namespace sparsevid::ops::ref {

void linear_combination(const LinearCombinationParams& params, Context& context);

}  // namespace sparsevid::ops::ref
