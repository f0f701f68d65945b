#include "ops/ref/to_rgb8.h"

#include <algorithm>
#include <cmath>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void to_rgb8(const ToRgb8Params& params, Context&) {
  for (std::int64_t i = 0; i < params.x.numel(); ++i) {
    // In float, operation by operation, as diffusers computes it: the floor is exact then.
    const float unit = std::clamp(static_cast<float>(load(params.x, i)) / 2 + 0.5F, 0.0F, 1.0F);
    params.out.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(std::floor(255 * unit));
  }
}

}  // namespace sparsevid::ops::ref
