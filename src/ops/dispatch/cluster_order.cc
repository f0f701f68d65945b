#include "ops/cluster_order.h"

#include "ops/cpu/cluster_order.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/cluster_order.h"

namespace sparsevid::ops {

const ImplementationList<ClusterOrderParams>& cluster_order_implementations() {
  static const auto list = implementations<ClusterOrderParams>(
      "cluster_order", {{"counting", never_refuses<ClusterOrderParams>, cpu::cluster_order},
                        {"ref", never_refuses<ClusterOrderParams>, ref::cluster_order}});
  return list;
}

void cluster_order(const ClusterOrderParams& params, Context& context) {
  const auto& [labels, order, offsets] = params;
  require_contract(labels.rank() == 2 && offsets.rank() == 2 && offsets.size(1) >= 1 &&
                       is_index_rows(labels, labels.size(0), labels.size(1)) &&
                       is_index_rows(order, labels.size(0), labels.size(1)) &&
                       is_index_rows(offsets, labels.size(0), offsets.size(1)),
                   "cluster_order", {labels, order, offsets});
  cluster_order_implementations().run(params, context);
}

}  // namespace sparsevid::ops
