#include "ops/choose_clusters.h"

#include "ops/cpu/choose_clusters.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/choose_clusters.h"

namespace sparsevid::ops {

const ImplementationList<ChooseClustersParams>& choose_clusters_implementations() {
  static const auto list = implementations<ChooseClustersParams>(
      "choose_clusters", {{"cpu", never_refuses<ChooseClustersParams>, cpu::choose_clusters},
                          {"ref", never_refuses<ChooseClustersParams>, ref::choose_clusters}});
  return list;
}

void choose_clusters(const ChooseClustersParams& params, Context& context) {
  const auto& [priority, mass, q_offsets, k_offsets, budget, crossing, at_least, shared, chosen] =
      params;
  const auto is_like_priority = [&shape = params.priority.shape()](const TensorView& view) {
    return is_f32_per_head(view, shape[0], shape[1], shape[2]);
  };
  require_contract(priority.rank() == 3 && is_like_priority(priority) &&
                       (!mass.defined() || is_like_priority(mass)) && chosen.rank() == 3 &&
                       chosen.dtype() == DType::u8 && chosen.contiguous() &&
                       chosen.size(0) == priority.size(0) && chosen.size(1) >= priority.size(1) &&
                       chosen.size(2) >= priority.size(2) &&
                       is_index_rows(q_offsets, priority.size(0), chosen.size(1) + 1) &&
                       is_index_rows(k_offsets, priority.size(0), chosen.size(2) + 1),
                   "choose_clusters", {priority, mass, q_offsets, k_offsets, chosen});
  choose_clusters_implementations().run(params, context);
}

}  // namespace sparsevid::ops
