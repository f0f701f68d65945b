// The truth of ops/round_clusters.h.
#pragma once

#include "ops/round_clusters.h"

namespace sparsevid::ops::ref {

void round_clusters(const RoundClustersParams& params, Context& context);

}  // namespace sparsevid::ops::ref
