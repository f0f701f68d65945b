// k-means with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/kmeans.h"

namespace sparsevid::ops::cuda {

/// bf16 with head_dim 64 or 128 on Hopper.
void kmeans_hopper(const KMeansParams& params, Context& context);
std::string kmeans_hopper_refusal(const KMeansParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
