// The end of an iteration of k-means: empty clusters are refilled, and a head may come to rest.
#pragma once

#include "ops/cuda/kmeans/lloyd.h"

namespace sparsevid::ops::cuda {

/// Device memory that refilling works in.
struct RefillScratch {
  int* parted;           // [heads, count]
  int* begins;           // [heads, clusters]
  unsigned char* whole;  // [heads, clusters]: the cluster cannot be split
};

struct SettleParams {
  LloydState state;
  TensorView x;
  TensorView labels;
  TensorView counts;   ///< written from the offsets, then kept up to date
  int* order;          ///< [heads, count]: rows by their label; refilling changes it
  const int* offsets;  ///< [heads, clusters + 1]
  const float* moved;  ///< [heads, clusters]: squared distance a centroid moved
  const float* norms;  ///< [heads, clusters]: of the centroids
  RefillScratch scratch;
  double tolerance;
};
void settle(const SettleParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
