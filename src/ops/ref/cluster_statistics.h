// The truth of ops/cluster_statistics.h.
#pragma once

#include "ops/cluster_statistics.h"

namespace sparsevid::ops::ref {

void cluster_statistics(const ClusterStatisticsParams& params, Context& context);

}  // namespace sparsevid::ops::ref
