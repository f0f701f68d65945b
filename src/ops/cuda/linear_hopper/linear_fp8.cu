// Linear layers in fp8 by product.h.
#include "ops/cuda/linear_hopper/linear_fp8.h"

#include "ops/cuda/linear_hopper/launch.h"

namespace sparsevid::ops::cuda {

std::string linear_fp8_hopper_refusal(const LinearFp8Params& params, const Context&) {
  return product_refusal(params.x, params.weight, params.bias, params.out, params.activation);
}

void linear_fp8_hopper(const LinearFp8Params& params, Context& context) {
  if (params.out.numel() == 0) return;
  ProductProblem p = {};
  p.out = params.out.data();
  p.bias = device_pointer<const float>(params.bias);
  p.row_scale = device_pointer<const float>(params.x_scale);
  p.column_scale = device_pointer<const float>(params.weight_scale);
  p.out_stride = params.out.stride(0);
  launch_product<true>(params.x, params.weight, p, params.out.dtype(), params.activation,
                       "linear_fp8", context);
}

}  // namespace sparsevid::ops::cuda
