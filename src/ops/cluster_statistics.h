// Mean and per-dimension variance of the members of each cluster.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ClusterStatisticsParams {
  TensorView x;         ///< [heads, count, head_dim] f32 or bf16; contiguous last axis
  TensorView order;     ///< [heads, count] i32
  TensorView offsets;   ///< [heads, clusters + 1] i32
  TensorView mean;      ///< [heads, clusters, head_dim] f32, written; 0 for an empty cluster
  TensorView variance;  ///< [heads, clusters, head_dim] f32, written; may be undefined
};

void cluster_statistics(const ClusterStatisticsParams& params, Context& context);
const ImplementationList<ClusterStatisticsParams>& cluster_statistics_implementations();

}  // namespace sparsevid::ops
