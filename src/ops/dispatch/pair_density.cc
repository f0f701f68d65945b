#include "ops/pair_density.h"

#include "ops/cpu/pair_density.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/pair_density.h"

namespace sparsevid::ops {

const ImplementationList<PairDensityParams>& pair_density_implementations() {
  static const auto list = implementations<PairDensityParams>(
      "pair_density", {{"cpu", never_refuses<PairDensityParams>, cpu::pair_density},
                       {"ref", never_refuses<PairDensityParams>, ref::pair_density}});
  return list;
}

void pair_density(const PairDensityParams& params, Context& context) {
  const auto& [chosen, q_offsets, k_offsets, density] = params;
  require_contract(chosen.rank() == 3 && chosen.dtype() == DType::u8 && chosen.contiguous() &&
                       is_index_rows(q_offsets, chosen.size(0), chosen.size(1) + 1) &&
                       is_index_rows(k_offsets, chosen.size(0), chosen.size(2) + 1) &&
                       density.dtype() == DType::f64 && density.shape() == Shape{chosen.size(0)} &&
                       density.contiguous(),
                   "pair_density", {chosen, q_offsets, k_offsets, density});
  pair_density_implementations().run(params, context);
}

}  // namespace sparsevid::ops
