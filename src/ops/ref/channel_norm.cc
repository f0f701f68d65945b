#include "ops/ref/channel_norm.h"

#include <algorithm>
#include <cmath>

#include "ops/ref/activation.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void channel_norm(const ChannelNormParams& params, Context&) {
  const auto& [x, gamma, silu, out] = params;
  const std::int64_t channels = x.size(1);
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    double squares = 0;
    for (std::int64_t i = 0; i < channels; ++i) squares += load(x, row, i) * load(x, row, i);
    const double factor =
        std::sqrt(static_cast<double>(channels)) / std::max(std::sqrt(squares), 1e-12);
    for (std::int64_t i = 0; i < channels; ++i) {
      const double y = load(x, row, i) * factor * load(gamma, i);
      store(out, row, i, silu ? activation(Activation::silu, y) : y);
    }
  }
}

}  // namespace sparsevid::ops::ref
