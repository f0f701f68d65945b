// The truth of ops/linear.h: sums in double.
#pragma once

#include "ops/linear.h"

namespace sparsevid::ops::ref {

void linear(const LinearParams& params, Context& context);

}  // namespace sparsevid::ops::ref
