#include "ops/ref/linear.h"

#include "ops/ref/activation.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void linear(const LinearParams& params, Context&) {
  const auto& [x, weight, bias, out, kind] = params;
  for (std::int64_t row = 0; row < out.size(0); ++row) {
    for (std::int64_t column = 0; column < out.size(1); ++column) {
      double sum = bias.defined() ? load(bias, column) : 0;
      for (std::int64_t i = 0; i < x.size(1); ++i) sum += load(x, row, i) * load(weight, column, i);
      store(out, row, column, activation(kind, sum));
    }
  }
}

}  // namespace sparsevid::ops::ref
