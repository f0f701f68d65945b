#include "ops/round_clusters.h"

#include "ops/cpu/round_clusters.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cluster_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/round_clusters.h"

namespace sparsevid::ops {

const ImplementationList<RoundClustersParams>& round_clusters_implementations() {
  static const auto list = implementations<RoundClustersParams>(
      "round_clusters",
      cluster_entries<RoundClustersParams, cpu::round_clusters>(ref::round_clusters));
  return list;
}

void round_clusters(const RoundClustersParams& params, Context& context) {
  const auto& [x, centroids, order, offsets, multiple, labels] = params;
  require_contract(
      is_heads_of_rows(x) && centroids.rank() == 3 && offsets.rank() == 2 && multiple >= 1 &&
          is_f32_per_head(centroids, x.size(0), centroids.size(1), x.size(2)) &&
          offsets.size(1) > centroids.size(1) && is_index_rows(order, x.size(0), x.size(1)) &&
          is_index_rows(offsets, x.size(0), offsets.size(1)) &&
          is_index_rows(labels, x.size(0), x.size(1)),
      "round_clusters", {x, centroids, order, offsets, labels});
  round_clusters_implementations().run(params, context);
}

}  // namespace sparsevid::ops
