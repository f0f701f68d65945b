#pragma once

#include "ops/round_offsets.h"

namespace sparsevid::ops::cuda {

void round_offsets(const RoundOffsetsParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
