// Frames of twice the height and width, on the GPU.
#pragma once

#include "ops/upsample_nearest.h"

namespace sparsevid::ops::cuda {

void upsample_nearest(const UpsampleNearestParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
