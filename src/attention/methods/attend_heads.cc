#include "attention/methods/attend_heads.h"

#include "ops/attention.h"
#include "ops/attention_8bit.h"

namespace sparsevid {

void attend_heads(const TensorView& q, const TensorView& k, const TensorView& v,
                  const TensorView& out, double scale, bool in_8bit, Context& context) {
  if (in_8bit)
    ops::attention_8bit({q, k, v, out, scale}, context);
  else
    ops::attention({q, k, v, out, scale, {}, {}}, context);
}

}  // namespace sparsevid
