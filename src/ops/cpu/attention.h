// Dense attention, tile by tile.
#pragma once

#include "ops/attention.h"
#include "ops/cpu/attention_tile.h"

namespace sparsevid::ops::cpu {

void attention(const AttentionKernel& kernel, const AttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
