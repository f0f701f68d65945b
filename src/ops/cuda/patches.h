// Between video latents and rows of patches.
#pragma once

#include "ops/patchify.h"
#include "ops/unpatchify.h"

namespace sparsevid::ops::cuda {

void patchify(const PatchifyParams& params, Context& context);
void unpatchify(const UnpatchifyParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
