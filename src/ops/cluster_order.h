// Counting sort of tokens by cluster.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ClusterOrderParams {
  TensorView labels;   ///< [heads, count] i32 in [0, clusters)
  TensorView order;    ///< [heads, count] i32, written: tokens sorted by label, stable
  TensorView offsets;  ///< [heads, clusters + 1] i32, written
};

void cluster_order(const ClusterOrderParams& params, Context& context);
const ImplementationList<ClusterOrderParams>& cluster_order_implementations();

}  // namespace sparsevid::ops
