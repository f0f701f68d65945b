// Estimated attention mass of each pair of clusters.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ClusterScoresParams {
  TensorView q;  ///< every query: [heads, q_len, head_dim] f32 or bf16; or the query centroids
                 ///< [heads, q_clusters, head_dim] f32 with q_order undefined
  TensorView q_order;    ///< [heads, q_len] i32; undefined: q holds centroids
  TensorView q_offsets;  ///< [heads, q_clusters + 1] i32; undefined with q_order
  TensorView k_mean;     ///< [heads, k_clusters, head_dim] f32
  TensorView k_offsets;  ///< [heads, k_clusters + 1] i32: sizes of the key clusters
  double scale = 1;
  TensorView
      scores;  ///< [heads, q_clusters, k_clusters] f32, written: the mean over the queries of a
               ///< cluster of softmax_j(scale q . k_mean_j + ln size_j); 0 for empty clusters
};

void cluster_scores(const ClusterScoresParams& params, Context& context);
const ImplementationList<ClusterScoresParams>& cluster_scores_implementations();

}  // namespace sparsevid::ops
