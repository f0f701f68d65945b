// The truth of ops/rms_norm.h.
#pragma once

#include "ops/rms_norm.h"

namespace sparsevid::ops::ref {

void rms_norm(const RmsNormParams& params, Context& context);

}  // namespace sparsevid::ops::ref
