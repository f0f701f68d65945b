#include "ops/cluster_errors.h"

#include "ops/cpu/cluster_errors.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cluster_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/cluster_errors.h"

namespace sparsevid::ops {

const ImplementationList<ClusterErrorsParams>& cluster_errors_implementations() {
  static const auto list = implementations<ClusterErrorsParams>(
      "cluster_errors",
      cluster_entries<ClusterErrorsParams, cpu::cluster_errors>(ref::cluster_errors));
  return list;
}

void cluster_errors(const ClusterErrorsParams& params, Context& context) {
  const auto& [scores, q_mean, k_variance, k_offsets, scale, errors] = params;
  require_contract(
      scores.rank() == 3 && q_mean.rank() == 3 &&
          is_f32_per_head(scores, scores.size(0), scores.size(1), scores.size(2)) &&
          is_f32_per_head(errors, scores.size(0), scores.size(1), scores.size(2)) &&
          is_f32_per_head(q_mean, scores.size(0), scores.size(1), q_mean.size(2)) &&
          is_f32_per_head(k_variance, scores.size(0), scores.size(2), q_mean.size(2)) &&
          is_index_rows(k_offsets, scores.size(0), scores.size(2) + 1),
      "cluster_errors", {scores, q_mean, k_variance, k_offsets, errors});
  cluster_errors_implementations().run(params, context);
}

}  // namespace sparsevid::ops
