// Lloyd iterations of Euclidean k-means, one clustering per head.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct KMeansParams {
  TensorView x;             ///< [heads, count, head_dim] f32 or bf16; contiguous last axis
  int max_iterations = 2;   ///< at least 1
  bool warm_start = false;  ///< true: begin from `centroids`; false: from rows (kmeans_seed.h)
  double tolerance =
      1e-4;  ///< stop once no centroid moved by more than this share of the mean norm
  std::uint64_t seed = 0;
  TensorView centroids;  ///< [heads, clusters, head_dim] f32, contiguous, read if warm_start,
                         ///< written; 0 for an empty cluster
  TensorView labels;     ///< [heads, count] i32, rows may be strided, written: cluster of each row
  TensorView counts;     ///< [heads, clusters] i32, contiguous, written
};
/// One iteration assigns each row to its nearest centroid, moves the centroids to the means of
/// their members, and refills each cluster that ran empty with half of the largest one that can be
/// split: the members nearer to its farthest member than to its centroid. On return counts agree
/// with labels, and a centroid is the mean of its members. clusters may exceed count: the surplus
/// stays empty, as do clusters that only duplicates could fill. Norms and sums in f32; an
/// implementation may round the centroids of a bf16 x to bf16 for the comparison of distances.
/// The same for a seed whatever the threads.

void kmeans(const KMeansParams& params, Context& context);
const ImplementationList<KMeansParams>& kmeans_implementations();

}  // namespace sparsevid::ops
