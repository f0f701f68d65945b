// The truth of ops/round_offsets.h.
#pragma once

#include "ops/round_offsets.h"

namespace sparsevid::ops::ref {

void round_offsets(const RoundOffsetsParams& params, Context& context);

}  // namespace sparsevid::ops::ref
