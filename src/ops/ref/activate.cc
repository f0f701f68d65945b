#include "ops/ref/activate.h"

#include "ops/ref/activation.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void activate(const ActivateParams& params, Context&) {
  for (std::int64_t i = 0; i < params.x.numel(); ++i) {
    const double factor = params.factor.defined() ? load(params.factor, i) : 1;
    store(params.out, i, activation(params.activation, load(params.x, i)) * factor);
  }
}

}  // namespace sparsevid::ops::ref
