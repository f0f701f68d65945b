// The truth of ops/patchify.h.
#pragma once

#include "ops/patchify.h"

namespace sparsevid::ops::ref {

void patchify(const PatchifyParams& params, Context& context);

}  // namespace sparsevid::ops::ref
