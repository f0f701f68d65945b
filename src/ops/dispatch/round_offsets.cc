#include "ops/round_offsets.h"

#include "ops/cpu/round_offsets.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/round_offsets.h"

namespace sparsevid::ops {

const ImplementationList<RoundOffsetsParams>& round_offsets_implementations() {
  static const auto list = implementations<RoundOffsetsParams>(
      "round_offsets", {{"cpu", never_refuses<RoundOffsetsParams>, cpu::round_offsets},
                        {"ref", never_refuses<RoundOffsetsParams>, ref::round_offsets}});
  return list;
}

void round_offsets(const RoundOffsetsParams& params, Context& context) {
  const auto& [offsets, multiple, rounded] = params;
  require_contract(offsets.rank() == 2 && offsets.size(1) >= 1 && multiple >= 1 &&
                       is_index_rows(offsets, offsets.size(0), offsets.size(1)) &&
                       is_index_rows(rounded, offsets.size(0), offsets.size(1)),
                   "round_offsets", {offsets, rounded});
  round_offsets_implementations().run(params, context);
}

}  // namespace sparsevid::ops
