#include "ops/ref/attention_8bit.h"

#include "ops/ref/attention.h"

namespace sparsevid::ops::ref {

void attention_8bit(const Attention8bitParams& params, Context& context) {
  attention({params.q, params.k, params.v, params.out, params.scale, {}, {}}, context);
}

}  // namespace sparsevid::ops::ref
