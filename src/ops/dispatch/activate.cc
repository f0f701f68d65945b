#include "ops/activate.h"

#include "ops/cpu/elementwise.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/activate.h"

namespace sparsevid::ops {

const ImplementationList<ActivateParams>& activate_implementations() {
  static const auto list = implementations<ActivateParams>(
      "activate", {{"simd", cpu::activate_refusal, cpu::activate},
                   {"ref", never_refuses<ActivateParams>, ref::activate}});
  return list;
}

void activate(const ActivateParams& params, Context& context) {
  const auto& [x, factor, activation, out] = params;
  require_contract(
      is_float(x) && x.contiguous() && out.contiguous() && same_shape_and_dtype(x, out) &&
          (!factor.defined() || (same_shape_and_dtype(x, factor) && factor.contiguous())),
      "activate", {x, factor, out});
  activate_implementations().run(params, context);
}

}  // namespace sparsevid::ops
