// T5's bias of relative positions, on the GPU.
#pragma once

#include "ops/relative_position_bias.h"

namespace sparsevid::ops::cuda {

void relative_position_bias(const RelativePositionBiasParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
