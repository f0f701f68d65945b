#include "ops/rms_norm.h"

#include "ops/cpu/norms.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/rms_norm.h"

namespace sparsevid::ops {

namespace {

std::string row_refusal(const RmsNormParams& params, const Context&) {
  return cpu::long_row_refusal(params.x.size(1));
}

}  // namespace

const ImplementationList<RmsNormParams>& rms_norm_implementations() {
  static const auto list = implementations<RmsNormParams>(
      "rms_norm",
      {{"simd", row_refusal, cpu::rms_norm}, {"ref", never_refuses<RmsNormParams>, ref::rms_norm}});
  return list;
}

void rms_norm(const RmsNormParams& params, Context& context) {
  const auto& [x, weight, epsilon, out] = params;
  require_contract(is_matrix(x) && is_matrix(out) && same_shape_and_dtype(x, out) &&
                       is_vector(weight, x.size(1)),
                   "rms_norm", {x, weight, out});
  rms_norm_implementations().run(params, context);
}

}  // namespace sparsevid::ops
