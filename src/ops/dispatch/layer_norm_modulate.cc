#include "ops/layer_norm_modulate.h"

#include "ops/cpu/norms.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/layer_norm_modulate.h"

namespace sparsevid::ops {

namespace {

std::string row_refusal(const LayerNormModulateParams& params, const Context&) {
  return cpu::long_row_refusal(params.x.size(1));
}

}  // namespace

const ImplementationList<LayerNormModulateParams>& layer_norm_modulate_implementations() {
  static const auto list = implementations<LayerNormModulateParams>(
      "layer_norm_modulate",
      {{"simd", row_refusal, cpu::layer_norm_modulate},
       {"ref", never_refuses<LayerNormModulateParams>, ref::layer_norm_modulate}});
  return list;
}

void layer_norm_modulate(const LayerNormModulateParams& params, Context& context) {
  const auto& [x, scale, shift, epsilon, out] = params;
  require_contract(is_matrix(x) && is_matrix(out) && out.shape() == x.shape() &&
                       is_vector(scale, x.size(1)) && is_vector(shift, x.size(1)),
                   "layer_norm_modulate", {x, scale, shift, out});
  layer_norm_modulate_implementations().run(params, context);
}

}  // namespace sparsevid::ops
