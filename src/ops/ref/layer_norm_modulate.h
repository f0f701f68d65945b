// The truth of ops/layer_norm_modulate.h.
#pragma once

#include "ops/layer_norm_modulate.h"

namespace sparsevid::ops::ref {

void layer_norm_modulate(const LayerNormModulateParams& params, Context& context);

}  // namespace sparsevid::ops::ref
