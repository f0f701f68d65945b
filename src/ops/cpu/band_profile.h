// The errors of both bands on a few queries, a block of keys at a time.
#pragma once

#include "ops/band_profile.h"
#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {

/// The kernel must be one for f32.
void band_profile(const ClusterKernel& kernel, const BandProfileParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
