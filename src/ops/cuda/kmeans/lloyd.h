// An iteration of k-means around the assignment, which differs by GPU.
#pragma once

#include <cstdint>

#include "ops/kmeans.h"

namespace sparsevid::ops::cuda {

/// Device memory of a call that its steps share.
struct LloydState {
  int heads, count, dim, clusters;
  float* centroids;       ///< [heads, clusters, dim], the params' own
  unsigned char* usable;  ///< [heads, clusters]; 0: more clusters than rows, never given a centroid
  int* resting;           ///< [heads]; not 0: the head has converged, and every step skips it
};

/// Writes the nearest usable centroid of every row of the heads that do not rest to params.labels.
class AssignStep {
 public:
  AssignStep() = default;
  AssignStep(const AssignStep&) = delete;
  AssignStep& operator=(const AssignStep&) = delete;
  virtual ~AssignStep() = default;
  virtual void run(const LloydState& state, const KMeansParams& params, Context& context) = 0;
};

void lloyd(AssignStep& assign, const KMeansParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
