// The truth of ops/cluster_order.h.
#pragma once

#include "ops/cluster_order.h"

namespace sparsevid::ops::ref {

void cluster_order(const ClusterOrderParams& params, Context& context);

}  // namespace sparsevid::ops::ref
