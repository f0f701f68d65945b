#include "ops/layer_norm.h"

#include "ops/cpu/norms.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/layer_norm.h"

namespace sparsevid::ops {

namespace {

std::string row_refusal(const LayerNormParams& params, const Context&) {
  return cpu::long_row_refusal(params.x.size(1));
}

}  // namespace

const ImplementationList<LayerNormParams>& layer_norm_implementations() {
  static const auto list = implementations<LayerNormParams>(
      "layer_norm", {{"simd", row_refusal, cpu::layer_norm},
                     {"ref", never_refuses<LayerNormParams>, ref::layer_norm}});
  return list;
}

void layer_norm(const LayerNormParams& params, Context& context) {
  const auto& [x, weight, bias, epsilon, out] = params;
  require_contract(is_matrix(x) && is_matrix(out) && out.shape() == x.shape() &&
                       is_optional_vector(weight, x.size(1)) && is_optional_vector(bias, x.size(1)),
                   "layer_norm", {x, weight, bias, out});
  layer_norm_implementations().run(params, context);
}

}  // namespace sparsevid::ops
