// The truth of ops/guidance.h.
#pragma once

#include "ops/guidance.h"

namespace sparsevid::ops::ref {

void guidance(const GuidanceParams& params, Context& context);

}  // namespace sparsevid::ops::ref
