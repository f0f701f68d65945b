// Attention inside a band, tile by tile.
#pragma once

#include "ops/band_attention.h"
#include "ops/cpu/attention_tile.h"

namespace sparsevid::ops::cpu {

void band_attention(const AttentionKernel& kernel, const BandAttentionParams& params,
                    Context& context);

}  // namespace sparsevid::ops::cpu
