#include "ops/cluster_scores.h"

#include "ops/cpu/cluster_scores.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cluster_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/cluster_scores.h"

namespace sparsevid::ops {

const ImplementationList<ClusterScoresParams>& cluster_scores_implementations() {
  static const auto list = implementations<ClusterScoresParams>(
      "cluster_scores",
      cluster_entries<ClusterScoresParams, cpu::cluster_scores>(ref::cluster_scores));
  return list;
}

void cluster_scores(const ClusterScoresParams& params, Context& context) {
  const auto& [q, q_order, q_offsets, k_mean, k_offsets, scale, scores] = params;
  require_contract(
      is_heads_of_rows(q) && k_mean.rank() == 3 && scores.rank() == 3 &&
          is_f32_per_head(k_mean, q.size(0), k_mean.size(1), q.size(2)) &&
          is_index_rows(k_offsets, q.size(0), k_mean.size(1) + 1) &&
          is_f32_per_head(scores, q.size(0), scores.size(1), k_mean.size(1)) &&
          (q_order.defined() ? is_index_rows(q_order, q.size(0), q_order.size(1)) &&
                                   is_index_rows(q_offsets, q.size(0), scores.size(1) + 1)
                             : q.size(1) == scores.size(1)),
      "cluster_scores", {q, q_order, q_offsets, k_mean, k_offsets, scores});
  cluster_scores_implementations().run(params, context);
}

}  // namespace sparsevid::ops
