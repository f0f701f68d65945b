// k-means of rows on any GPU.
#pragma once

#include "ops/kmeans.h"

namespace sparsevid::ops::cuda {

/// Any type and head_dim, with f32 distances.
void kmeans(const KMeansParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
