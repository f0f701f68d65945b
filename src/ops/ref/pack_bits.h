// The truth of ops/pack_bits.h.
#pragma once

#include "ops/pack_bits.h"

namespace sparsevid::ops::ref {

void pack_bits(const PackBitsParams& params, Context& context);
void unpack_bits(const UnpackBitsParams& params, Context& context);

}  // namespace sparsevid::ops::ref
