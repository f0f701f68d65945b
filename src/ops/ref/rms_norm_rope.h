// The truth of ops/rms_norm_rope.h.
#pragma once

#include "ops/rms_norm_rope.h"

namespace sparsevid::ops::ref {

void rms_norm_rope(const RmsNormRopeParams& params, Context& context);

}  // namespace sparsevid::ops::ref
