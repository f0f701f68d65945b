// Pixels copied to four places.
#pragma once

#include "ops/upsample_nearest.h"

namespace sparsevid::ops::cpu {

void upsample_nearest(const UpsampleNearestParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
