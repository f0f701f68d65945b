// The truth of ops/layer_norm.h.
#pragma once

#include "ops/layer_norm.h"

namespace sparsevid::ops::ref {

void layer_norm(const LayerNormParams& params, Context& context);

}  // namespace sparsevid::ops::ref
