#include "attention/methods/dense.h"

#include "attention/methods/padding.h"

namespace sparsevid {

void DenseAttention::run(const AttentionCall& call, const TensorView& out, Context& context) {
  const Zone zone(context.profile, "attention");
  attend_densely(call, out, in_8bit_, context);
  stats_.calls.push_back({call.step, call.layer, call.branch, true, {}});
}

}  // namespace sparsevid
