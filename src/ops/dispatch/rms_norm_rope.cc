#include "ops/rms_norm_rope.h"

#include "ops/cpu/norms.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/rms_norm_rope.h"

namespace sparsevid::ops {

namespace {

bool is_optional_table(const TensorView& table, const TensorView& x) {
  return !table.defined() || (table.dtype() == DType::f32 && table.contiguous() &&
                              table.shape() == Shape{x.size(0), x.size(2) / 2});
}

std::string row_refusal(const RmsNormRopeParams& params, const Context&) {
  return cpu::long_row_refusal(params.x.size(1) * params.x.size(2));
}

}  // namespace

const ImplementationList<RmsNormRopeParams>& rms_norm_rope_implementations() {
  static const auto list = implementations<RmsNormRopeParams>(
      "rms_norm_rope", {{"simd", row_refusal, cpu::rms_norm_rope},
                        {"ref", never_refuses<RmsNormRopeParams>, ref::rms_norm_rope}});
  return list;
}

void rms_norm_rope(const RmsNormRopeParams& params, Context& context) {
  const auto& [x, weight, epsilon, cos, sin, out] = params;
  const auto rows_are_contiguous = [](const TensorView& view) {
    return view.rank() == 3 && is_float(view) && (view.size(0) == 0 || view[0].contiguous());
  };
  require_contract(rows_are_contiguous(x) && rows_are_contiguous(out) &&
                       same_shape_and_dtype(x, out) && is_vector(weight, x.size(1) * x.size(2)) &&
                       x.size(2) % 2 == 0 && is_optional_table(cos, x) &&
                       is_optional_table(sin, x) && cos.defined() == sin.defined(),
                   "rms_norm_rope", {x, weight, cos, sin, out});
  rms_norm_rope_implementations().run(params, context);
}

}  // namespace sparsevid::ops
