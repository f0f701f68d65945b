#pragma once

#include "ops/relative_position_bias.h"

namespace sparsevid::ops::ref {

void relative_position_bias(const RelativePositionBiasParams& params, Context& context);

}  // namespace sparsevid::ops::ref
