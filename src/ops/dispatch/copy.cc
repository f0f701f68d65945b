#include "ops/copy.h"

#include "ops/cpu/copy.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/copy.h"

namespace sparsevid::ops {

const ImplementationList<CopyParams>& copy_implementations() {
  static const auto list =
      implementations<CopyParams>("copy", {{"simd", never_refuses<CopyParams>, cpu::copy},
                                           {"ref", never_refuses<CopyParams>, ref::copy}});
  return list;
}

void copy(const CopyParams& params, Context& context) {
  const auto& [x, out] = params;
  require_contract(x.shape() == out.shape() &&
                       (is_float(out) || out.dtype() == DType::f64 || out.dtype() == x.dtype()),
                   "copy", {x, out});
  copy_implementations().run(params, context);
}

}  // namespace sparsevid::ops
