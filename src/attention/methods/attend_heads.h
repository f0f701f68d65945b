// Dense attention of the heads of one element of a batch, in the precision that was asked for.
#pragma once

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

/// All [heads, seq_len, head_dim]; out may not overlap the others.
void attend_heads(const TensorView& q, const TensorView& k, const TensorView& v,
                  const TensorView& out, double scale, bool in_8bit, Context& context);

}  // namespace sparsevid
