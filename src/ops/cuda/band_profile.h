// The errors of both bands on a few queries, on the GPU.
#pragma once

#include "ops/band_profile.h"

namespace sparsevid::ops::cuda {

std::string band_profile_refusal(const BandProfileParams& params, const Context& context);
void band_profile(const BandProfileParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
