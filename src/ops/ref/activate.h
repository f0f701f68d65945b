// The truth of ops/activate.h.
#pragma once

#include "ops/activate.h"

namespace sparsevid::ops::ref {

void activate(const ActivateParams& params, Context& context);

}  // namespace sparsevid::ops::ref
