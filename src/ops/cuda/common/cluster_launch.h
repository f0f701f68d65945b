// Launching a kernel whose blocks work together in clusters.
#pragma once

#include <string_view>

#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

struct ClusterLaunch {
  dim3 blocks;  ///< along x a multiple of `cluster`
  int cluster;  ///< blocks, neighbours along x; 1: each by itself
  int threads;
  int shared_bytes;  ///< the kernel allows them already
};

/// Throws Error(internal) that names the op.
template <typename Arguments>
void launch_in_clusters(void (*kernel)(Arguments), const ClusterLaunch& launch,
                        const Arguments& arguments, cudaStream_t stream, std::string_view op) {
  cudaLaunchConfig_t config{};
  config.gridDim = launch.blocks;
  config.blockDim = launch.threads;
  config.dynamicSmemBytes = launch.shared_bytes;
  config.stream = stream;
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = launch.cluster;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  config.attrs = &cluster;
  config.numAttrs = 1;  // for one block too: instructions of clusters are illegal without it
  check(cudaLaunchKernelEx(&config, kernel, arguments), op);
}

}  // namespace sparsevid::ops::cuda
