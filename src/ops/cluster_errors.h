// The error that leaving a cluster of keys to its mean would cause, per token that it costs.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ClusterErrorsParams {
  TensorView scores;      ///< [heads, q_clusters, k_clusters] f32, heads may be strided
  TensorView q_mean;      ///< [heads, q_clusters, head_dim] f32, contiguous in each head
  TensorView k_variance;  ///< [heads, k_clusters, head_dim] f32, contiguous in each head
  TensorView k_offsets;   ///< [heads, k_clusters + 1] i32
  double scale = 1;
  TensorView errors;  ///< [heads, q_clusters, k_clusters] f32, contiguous, written; may be scores:
                      ///< score_ij scale sqrt(sum_d q_mean_id^2 k_variance_jd) / size_j, the
                      ///< spread of the logits inside the cluster (methods.md, semantic_tail 3);
                      ///< 0 for an empty cluster
};

void cluster_errors(const ClusterErrorsParams& params, Context& context);
const ImplementationList<ClusterErrorsParams>& cluster_errors_implementations();

}  // namespace sparsevid::ops
