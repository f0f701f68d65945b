#pragma once

#include "ops/linear_fp8.h"

namespace sparsevid::ops::ref {

void linear_fp8(const LinearFp8Params& params, Context& context);

}  // namespace sparsevid::ops::ref
