// The truth of ops/unpatchify.h.
#pragma once

#include "ops/unpatchify.h"

namespace sparsevid::ops::ref {

void unpatchify(const UnpatchifyParams& params, Context& context);

}  // namespace sparsevid::ops::ref
