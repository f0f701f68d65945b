#include "ops/ref/gated_residual.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void gated_residual(const GatedResidualParams& params, Context&) {
  const auto& [x, y, gate] = params;
  for (std::int64_t row = 0; row < x.size(0); ++row)
    for (std::int64_t i = 0; i < x.size(1); ++i)
      store(x, row, i, load(x, row, i) + load(y, row, i) * (gate.defined() ? load(gate, i) : 1));
}

}  // namespace sparsevid::ops::ref
