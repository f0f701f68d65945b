// Means and variances of clusters, one cluster after the other.
#pragma once

#include "ops/cluster_statistics.h"
#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {

void cluster_statistics(const ClusterKernel& kernel, const ClusterStatisticsParams& params,
                        Context& context);

}  // namespace sparsevid::ops::cpu
