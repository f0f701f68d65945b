// band_attention in fp64, query by query.
#pragma once

#include "ops/band_attention.h"

namespace sparsevid::ops::ref {

void band_attention(const BandAttentionParams& params, Context& context);

}  // namespace sparsevid::ops::ref
