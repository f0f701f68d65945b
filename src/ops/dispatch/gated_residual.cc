#include "ops/gated_residual.h"

#include "ops/cpu/elementwise.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/gated_residual.h"

namespace sparsevid::ops {

const ImplementationList<GatedResidualParams>& gated_residual_implementations() {
  static const auto list = implementations<GatedResidualParams>(
      "gated_residual", {{"simd", never_refuses<GatedResidualParams>, cpu::gated_residual},
                         {"ref", never_refuses<GatedResidualParams>, ref::gated_residual}});
  return list;
}

void gated_residual(const GatedResidualParams& params, Context& context) {
  const auto& [x, y, gate] = params;
  require_contract(is_matrix(x) && is_matrix(y) && same_shape_and_dtype(x, y) &&
                       is_optional_vector(gate, x.size(1)),
                   "gated_residual", {x, y, gate});
  gated_residual_implementations().run(params, context);
}

}  // namespace sparsevid::ops
