// Clusters whose sizes are rounded to multiples, on the GPU.
#pragma once

#include "ops/round_clusters.h"

namespace sparsevid::ops::cuda {

std::string round_clusters_refusal(const RoundClustersParams& params, const Context& context);
void round_clusters(const RoundClustersParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
