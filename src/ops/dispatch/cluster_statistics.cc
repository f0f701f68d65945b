#include "ops/cluster_statistics.h"

#include "ops/cpu/cluster_statistics.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cluster_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/cluster_statistics.h"

namespace sparsevid::ops {

const ImplementationList<ClusterStatisticsParams>& cluster_statistics_implementations() {
  static const auto list = implementations<ClusterStatisticsParams>(
      "cluster_statistics",
      cluster_entries<ClusterStatisticsParams, cpu::cluster_statistics>(ref::cluster_statistics));
  return list;
}

void cluster_statistics(const ClusterStatisticsParams& params, Context& context) {
  const auto& [x, order, offsets, mean, variance] = params;
  require_contract(
      is_heads_of_rows(x) && mean.rank() == 3 && is_index_rows(order, x.size(0), x.size(1)) &&
          is_index_rows(offsets, x.size(0), mean.size(1) + 1) &&
          is_f32_per_head(mean, x.size(0), mean.size(1), x.size(2)) &&
          (!variance.defined() || is_f32_per_head(variance, x.size(0), mean.size(1), x.size(2))),
      "cluster_statistics", {x, order, offsets, mean, variance});
  cluster_statistics_implementations().run(params, context);
}

}  // namespace sparsevid::ops
