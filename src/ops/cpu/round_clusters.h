#pragma once

#include "ops/cpu/cluster_kernel.h"
#include "ops/round_clusters.h"

namespace sparsevid::ops::cpu {

void round_clusters(const ClusterKernel& kernel, const RoundClustersParams& params,
                    Context& context);

}  // namespace sparsevid::ops::cpu
