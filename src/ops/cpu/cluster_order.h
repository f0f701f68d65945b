// Counting sort of labels, head by head.
#pragma once

#include "ops/cluster_order.h"

namespace sparsevid::ops::cpu {

void cluster_order(const ClusterOrderParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
