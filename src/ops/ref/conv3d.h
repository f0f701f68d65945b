// The truth of ops/conv3d.h: sums in double.
#pragma once

#include "ops/conv3d.h"

namespace sparsevid::ops::ref {

void conv3d(const Conv3dParams& params, Context& context);

}  // namespace sparsevid::ops::ref
