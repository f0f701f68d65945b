#include "ops/ref/linear_combination.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void linear_combination(const LinearCombinationParams& params, Context&) {
  for (std::int64_t i = 0; i < params.out.numel(); ++i) {
    double sum = 0;
    for (const auto& term : params.terms) sum += term.coefficient * load(term.x, i);
    store(params.out, i, sum);
  }
}

}  // namespace sparsevid::ops::ref
