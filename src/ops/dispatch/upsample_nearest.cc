#include "ops/upsample_nearest.h"

#include "ops/cpu/upsample_nearest.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/upsample_nearest.h"

namespace sparsevid::ops {

const ImplementationList<UpsampleNearestParams>& upsample_nearest_implementations() {
  static const auto list = implementations<UpsampleNearestParams>(
      "upsample_nearest", {{"simd", never_refuses<UpsampleNearestParams>, cpu::upsample_nearest},
                           {"ref", never_refuses<UpsampleNearestParams>, ref::upsample_nearest}});
  return list;
}

void upsample_nearest(const UpsampleNearestParams& params, Context& context) {
  const auto& [x, out] = params;
  require_contract(x.rank() == 4 && is_float(x) && out.dtype() == x.dtype() && x.contiguous() &&
                       out.contiguous() &&
                       out.shape() == Shape{x.size(0), 2 * x.size(1), 2 * x.size(2), x.size(3)},
                   "upsample_nearest", {x, out});
  upsample_nearest_implementations().run(params, context);
}

}  // namespace sparsevid::ops
