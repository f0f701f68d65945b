// The share of pairs that a choice of clusters computes, on the GPU.
#pragma once

#include "ops/pair_density.h"

namespace sparsevid::ops::cuda {

void pair_density(const PairDensityParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
