// The truth of ops/cluster_scores.h.
#pragma once

#include "ops/cluster_scores.h"

namespace sparsevid::ops::ref {

void cluster_scores(const ClusterScoresParams& params, Context& context);

}  // namespace sparsevid::ops::ref
