// Labels and choices packed into few bits and unpacked, on the GPU.
#pragma once

#include "ops/pack_bits.h"

namespace sparsevid::ops::cuda {

void pack_bits(const PackBitsParams& params, Context& context);
void unpack_bits(const UnpackBitsParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
