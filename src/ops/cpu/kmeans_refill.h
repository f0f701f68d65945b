// Giving members to the clusters of one head that ran empty.
#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {

/// Splits the largest clusters into the empty ones (ops/kmeans.h). x [count, head_dim]; centroids
/// [clusters, head_dim] f32, labels [count] and counts [clusters] are brought up to date; scratch
/// [count].
void refill_empty_clusters(const ClusterKernel& kernel, const TensorView& x,
                           const TensorView& centroids, std::int32_t* labels, std::int32_t* counts,
                           std::int32_t* scratch);

}  // namespace sparsevid::ops::cpu
