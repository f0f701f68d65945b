#include "ops/ref/layer_norm_modulate.h"

#include <cmath>

#include "ops/ref/element.h"
#include "ops/ref/row_statistics.h"

namespace sparsevid::ops::ref {

void layer_norm_modulate(const LayerNormModulateParams& params, Context&) {
  for (std::int64_t row = 0; row < params.x.size(0); ++row) {
    const auto [mean, variance] = row_statistics(params.x, row);
    for (std::int64_t i = 0; i < params.x.size(1); ++i) {
      const double y = (load(params.x, row, i) - mean) / std::sqrt(variance + params.epsilon);
      store(params.out, row, i, y * (1 + load(params.scale, i)) + load(params.shift, i));
    }
  }
}

}  // namespace sparsevid::ops::ref
