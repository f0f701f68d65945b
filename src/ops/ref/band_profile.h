// The truth of ops/band_profile.h.
#pragma once

#include "ops/band_profile.h"

namespace sparsevid::ops::ref {

void band_profile(const BandProfileParams& params, Context& context);

}  // namespace sparsevid::ops::ref
