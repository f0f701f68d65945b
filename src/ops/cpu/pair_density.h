// Pairs counted in whole numbers, head by head.
#pragma once

#include "ops/pair_density.h"

namespace sparsevid::ops::cpu {

void pair_density(const PairDensityParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
