#include "ops/ref/linear_fp8.h"

#include "core/e4m3.h"
#include "ops/ref/activation.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void linear_fp8(const LinearFp8Params& params, Context&) {
  const auto& [x, x_scale, weight, weight_scale, bias, out, kind] = params;
  const auto* left = x.as<std::uint8_t>();
  const auto* right = weight.as<std::uint8_t>();
  for (std::int64_t row = 0; row < out.size(0); ++row)
    for (std::int64_t column = 0; column < out.size(1); ++column) {
      double sum = 0;
      for (std::int64_t i = 0; i < x.size(1); ++i)
        sum += static_cast<double>(from_e4m3(left[row * x.stride(0) + i])) *
               from_e4m3(right[column * x.size(1) + i]);
      sum *= load(x_scale, row) * load(weight_scale, column);
      if (bias.defined()) sum += load(bias, column);
      store(out, row, column, activation(kind, sum));
    }
}

}  // namespace sparsevid::ops::ref
