#include "ops/linear_fp8.h"

#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/linear_fp8.h"

namespace sparsevid::ops {

const ImplementationList<LinearFp8Params>& linear_fp8_implementations() {
  static const auto list = implementations<LinearFp8Params>(
      "linear_fp8", {{"ref", never_refuses<LinearFp8Params>, ref::linear_fp8}});
  return list;
}

void linear_fp8(const LinearFp8Params& params, Context& context) {
  const auto& [x, x_scale, weight, weight_scale, bias, out, activation] = params;
  const auto is_fp8 = [](const TensorView& view) {
    return view.defined() && view.rank() == 2 && view.dtype() == DType::u8 &&
           (view.size(1) <= 1 || view.stride(1) == 1);
  };
  require_contract(is_fp8(x) && is_fp8(weight) && is_matrix(out) && weight.contiguous() &&
                       weight.size(1) == x.size(1) && out.size(0) == x.size(0) &&
                       out.size(1) == weight.size(0) && is_vector(x_scale, x.size(0)) &&
                       is_vector(weight_scale, out.size(1)) &&
                       is_optional_vector(bias, out.size(1)),
                   "linear_fp8", {x, x_scale, weight, weight_scale, bias, out});
  linear_fp8_implementations().run(params, context);
}

}  // namespace sparsevid::ops
