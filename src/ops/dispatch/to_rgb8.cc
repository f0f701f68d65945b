#include "ops/to_rgb8.h"

#include "ops/cpu/elementwise.h"
#include "ops/dispatch/contract.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/to_rgb8.h"

namespace sparsevid::ops {

const ImplementationList<ToRgb8Params>& to_rgb8_implementations() {
  static const auto list = implementations<ToRgb8Params>(
      "to_rgb8", {{"simd", never_refuses<ToRgb8Params>, cpu::to_rgb8},
                  {"ref", never_refuses<ToRgb8Params>, ref::to_rgb8}});
  return list;
}

void to_rgb8(const ToRgb8Params& params, Context& context) {
  const auto& [x, out] = params;
  require_contract(is_float(x) && out.dtype() == DType::u8 && x.shape() == out.shape() &&
                       x.contiguous() && out.contiguous(),
                   "to_rgb8", {x, out});
  to_rgb8_implementations().run(params, context);
}

}  // namespace sparsevid::ops
