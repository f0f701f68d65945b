// Boundaries of clusters moved in whole numbers.
#pragma once

#include "ops/round_offsets.h"

namespace sparsevid::ops::cpu {

void round_offsets(const RoundOffsetsParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
