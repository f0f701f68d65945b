#include "ops/ref/rms_norm.h"

#include <cmath>

#include "ops/ref/element.h"
#include "ops/ref/row_statistics.h"

namespace sparsevid::ops::ref {

void rms_norm(const RmsNormParams& params, Context&) {
  for (std::int64_t row = 0; row < params.x.size(0); ++row) {
    const auto [mean, variance] = row_statistics(params.x, row);
    const double factor = 1 / std::sqrt(variance + mean * mean + params.epsilon);
    for (std::int64_t i = 0; i < params.x.size(1); ++i)
      store(params.out, row, i, load(params.x, row, i) * factor * load(params.weight, i));
  }
}

}  // namespace sparsevid::ops::ref
