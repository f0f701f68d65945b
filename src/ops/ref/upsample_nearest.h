// The truth of ops/upsample_nearest.h.
#pragma once

#include "ops/upsample_nearest.h"

namespace sparsevid::ops::ref {

void upsample_nearest(const UpsampleNearestParams& params, Context& context);

}  // namespace sparsevid::ops::ref
