#include "ops/linear.h"

#include "ops/cpu/linear.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/linear.h"

namespace sparsevid::ops {

const ImplementationList<LinearParams>& linear_implementations() {
  static const auto list = implementations<LinearParams>(
      "linear", {{"onednn", cpu::linear_onednn_refusal, cpu::linear_onednn},
                 {"onednn_f32", never_refuses<LinearParams>, cpu::linear_onednn_f32},
                 {"ref", never_refuses<LinearParams>, ref::linear}});
  return list;
}

void linear(const LinearParams& params, Context& context) {
  const auto& [x, weight, bias, out, activation] = params;
  require_contract(is_matrix(x) && is_matrix(weight) && is_matrix(out) && weight.contiguous() &&
                       weight.dtype() == x.dtype() && weight.size(1) == x.size(1) &&
                       out.size(0) == x.size(0) && out.size(1) == weight.size(0) &&
                       is_optional_vector(bias, out.size(1)),
                   "linear", {x, weight, bias, out});
  linear_implementations().run(params, context);
}

}  // namespace sparsevid::ops
