// Lloyd iterations: blocks of rows against all centroids, then means by counting sort.
#pragma once

#include "ops/cpu/cluster_kernel.h"
#include "ops/kmeans.h"

namespace sparsevid::ops::cpu {

void kmeans(const ClusterKernel& kernel, const KMeansParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
