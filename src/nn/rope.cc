#include "nn/rope.h"

#include <cassert>
#include <cmath>

namespace sparsevid::nn {

std::array<int, 3> rope_axis_dims(int head_dim) {
  const int side = 2 * (head_dim / 6);
  return {head_dim - 2 * side, side, side};
}

void rope_tables(const std::array<int, 3>& grid, const std::array<int, 3>& axis_dims, double theta,
                 const TensorView& cos, const TensorView& sin) {
  assert(cos.size(0) == std::int64_t{grid[0]} * grid[1] * grid[2]);
  auto* cos_values = cos.as<float>();
  auto* sin_values = sin.as<float>();
  for (int t = 0; t < grid[0]; ++t)
    for (int h = 0; h < grid[1]; ++h)
      for (int w = 0; w < grid[2]; ++w) {
        const std::array<int, 3> position = {t, h, w};
        for (std::size_t axis = 0; axis < 3; ++axis)
          for (int k = 0; k < axis_dims[axis] / 2; ++k) {
            const double frequency = 1 / std::pow(theta, 2.0 * k / axis_dims[axis]);
            const double angle = position[axis] * frequency;
            *cos_values++ = static_cast<float>(std::cos(angle));
            *sin_values++ = static_cast<float>(std::sin(angle));
          }
      }
}

}  // namespace sparsevid::nn
