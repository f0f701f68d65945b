// Tokens sorted by cluster, on the GPU.
#pragma once

#include <string>

#include "ops/cluster_order.h"

namespace sparsevid::ops::cuda {

void cluster_order(const ClusterOrderParams& params, Context& context);
std::string cluster_order_refusal(const ClusterOrderParams& params, const Context& context);

/// `resting` [heads] on the device: heads with another value than 0 are left alone.
void cluster_order(const ClusterOrderParams& params, const int* resting, Context& context);

}  // namespace sparsevid::ops::cuda
