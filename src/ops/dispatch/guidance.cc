#include "ops/guidance.h"

#include "ops/cpu/elementwise.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/guidance.h"

namespace sparsevid::ops {

const ImplementationList<GuidanceParams>& guidance_implementations() {
  static const auto list = implementations<GuidanceParams>(
      "guidance", {{"simd", never_refuses<GuidanceParams>, cpu::guidance},
                   {"ref", never_refuses<GuidanceParams>, ref::guidance}});
  return list;
}

void guidance(const GuidanceParams& params, Context& context) {
  const auto& [cond, uncond, scale, out] = params;
  require_contract(is_float(cond) && same_shape_and_dtype(cond, uncond) &&
                       out.dtype() == DType::f32 && out.shape() == cond.shape() &&
                       cond.contiguous() && uncond.contiguous() && out.contiguous(),
                   "guidance", {cond, uncond, out});
  guidance_implementations().run(params, context);
}

}  // namespace sparsevid::ops
