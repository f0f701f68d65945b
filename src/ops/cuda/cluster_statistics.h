// Means and variances of the members of clusters, on the GPU.
#pragma once

#include "ops/cluster_statistics.h"

namespace sparsevid::ops::cuda {

void cluster_statistics(const ClusterStatisticsParams& params, Context& context);

/// What k-means wants besides: [heads, clusters] each, on the device.
struct MeanMovement {
  float* moved;  ///< squared distance between what stood in params.mean before and the new mean
  float* norms;  ///< of the new mean
};
/// `resting` [heads] on the device: heads with another value than 0 are left alone.
void cluster_statistics(const ClusterStatisticsParams& params, const MeanMovement& movement,
                        const int* resting, Context& context);

}  // namespace sparsevid::ops::cuda
