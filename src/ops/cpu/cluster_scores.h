// Scores from every query: a product with the key means, its softmax, and a sum per query cluster.
#pragma once

#include "ops/cluster_scores.h"
#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {

void cluster_scores(const ClusterKernel& kernel, const ClusterScoresParams& params,
                    Context& context);

}  // namespace sparsevid::ops::cpu
