#include "ops/ref/layer_norm.h"

#include <cmath>

#include "ops/ref/element.h"
#include "ops/ref/row_statistics.h"

namespace sparsevid::ops::ref {

void layer_norm(const LayerNormParams& params, Context&) {
  for (std::int64_t row = 0; row < params.x.size(0); ++row) {
    const auto [mean, variance] = row_statistics(params.x, row);
    for (std::int64_t i = 0; i < params.x.size(1); ++i) {
      double y = (load(params.x, row, i) - mean) / std::sqrt(variance + params.epsilon);
      if (params.weight.defined()) y *= load(params.weight, i);
      if (params.bias.defined()) y += load(params.bias, i);
      store(params.out, row, i, y);
    }
  }
}

}  // namespace sparsevid::ops::ref
