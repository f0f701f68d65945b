// Linear layers in bf16 by product.h.
#include "ops/cuda/linear_hopper/linear.h"

#include "ops/cuda/linear_hopper/launch.h"

namespace sparsevid::ops::cuda {

namespace {

constexpr std::int64_t kFewestRows = 64;

}  // namespace

std::string linear_hopper_refusal(const LinearParams& params, const Context&) {
  const auto& [x, weight, bias, out, activation] = params;
  if (x.dtype() != DType::bf16) return "bf16 only";
  // One tile of columns reads its weights no faster for one row than for 128.
  if (x.size(0) < kFewestRows) return "few rows";
  return product_refusal(x, weight, bias, out, activation);
}

void linear_hopper(const LinearParams& params, Context& context) {
  ProductProblem p = {};
  p.out = params.out.data();
  p.bias = device_pointer<const float>(params.bias);
  p.out_stride = params.out.stride(0);
  launch_product<false>(params.x, params.weight, p, params.out.dtype(), params.activation, "linear",
                        context);
}

}  // namespace sparsevid::ops::cuda
