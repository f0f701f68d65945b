#include "ops/ref/quantize_rows.h"

#include <algorithm>
#include <cmath>

#include "core/e4m3.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void quantize_rows(const QuantizeRowsParams& params, Context&) {
  const auto& [x, out, scale] = params;
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    float largest = 0;
    for (std::int64_t i = 0; i < x.size(1); ++i)
      largest = std::max(largest, static_cast<float>(std::fabs(load(x, row, i))));
    const float inverse = largest > 0 ? kLargestE4m3 / largest : 1;
    scale.as<float>()[row] = largest > 0 ? largest / kLargestE4m3 : 1;
    for (std::int64_t i = 0; i < x.size(1); ++i)
      out.as<std::uint8_t>()[row * out.stride(0) + i] =
          to_e4m3(static_cast<float>(load(x, row, i)) * inverse);
  }
}

}  // namespace sparsevid::ops::ref
