// The truth of ops/to_rgb8.h.
#pragma once

#include "ops/to_rgb8.h"

namespace sparsevid::ops::ref {

void to_rgb8(const ToRgb8Params& params, Context& context);

}  // namespace sparsevid::ops::ref
