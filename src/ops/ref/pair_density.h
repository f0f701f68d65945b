// The truth of ops/pair_density.h.
#pragma once

#include "ops/pair_density.h"

namespace sparsevid::ops::ref {

void pair_density(const PairDensityParams& params, Context& context);

}  // namespace sparsevid::ops::ref
