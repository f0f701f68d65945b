#include "nn/timestep_embedding.h"

#include <cmath>

namespace sparsevid::nn {

void timestep_embedding(double timestep, const TensorView& out) {
  const std::int64_t half = out.numel() / 2;
  auto* values = out.as<float>();
  const auto log_period = static_cast<float>(-std::log(10000.0));
  for (std::int64_t i = 0; i < half; ++i) {
    const float exponent = log_period * static_cast<float>(i) / static_cast<float>(half);
    const float angle = static_cast<float>(timestep) * std::exp(exponent);
    values[i] = std::cos(angle);
    values[half + i] = std::sin(angle);
  }
  if (out.numel() % 2 != 0) values[out.numel() - 1] = 0;
}

}  // namespace sparsevid::nn
