// Video latents to rows of patches.
#pragma once

#include <array>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct PatchifyParams {
  TensorView video;  ///< [channels, frames, height, width] f32
  std::array<int, 3> patch = {1, 2, 2};
  TensorView out;  ///< [frames/pt * height/ph * width/pw, channels*pt*ph*pw] f32 or bf16, (c, pt,
                   ///< ph, pw) inside a row
};

void patchify(const PatchifyParams& params, Context& context);
const ImplementationList<PatchifyParams>& patchify_implementations();

}  // namespace sparsevid::ops
