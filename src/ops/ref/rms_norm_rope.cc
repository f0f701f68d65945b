#include "ops/ref/rms_norm_rope.h"

#include <cmath>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void rms_norm_rope(const RmsNormRopeParams& params, Context&) {
  const auto& x = params.x;
  const std::int64_t heads = x.size(1);
  const std::int64_t head_dim = x.size(2);
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    const std::int64_t in = row * x.stride(0);
    const std::int64_t out = row * params.out.stride(0);
    double squares = 0;
    for (std::int64_t i = 0; i < heads * head_dim; ++i)
      squares += load(x, in + i) * load(x, in + i);
    const double factor =
        1 / std::sqrt(squares / static_cast<double>(heads * head_dim) + params.epsilon);
    for (std::int64_t i = 0; i < heads * head_dim; i += 2) {
      const double even = load(x, in + i) * factor * load(params.weight, i);
      const double odd = load(x, in + i + 1) * factor * load(params.weight, i + 1);
      const std::int64_t pair = i % head_dim / 2;
      const double cos = params.cos.defined() ? load(params.cos, row, pair) : 1;
      const double sin = params.cos.defined() ? load(params.sin, row, pair) : 0;
      store(params.out, out + i, even * cos - odd * sin);
      store(params.out, out + i + 1, even * sin + odd * cos);
    }
  }
}

}  // namespace sparsevid::ops::ref
