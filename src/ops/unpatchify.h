// Rows of patches to video latents.
#pragma once

#include <array>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct UnpatchifyParams {
  TensorView rows;  ///< [frames/pt * height/ph * width/pw, pt*ph*pw*channels] f32 or bf16, (pt, ph,
                    ///< pw, c) inside a row (Wan)
  std::array<int, 3> patch = {1, 2, 2};
  TensorView video;  ///< [channels, frames, height, width] f32, or the dtype of rows
};

void unpatchify(const UnpatchifyParams& params, Context& context);
const ImplementationList<UnpatchifyParams>& unpatchify_implementations();

}  // namespace sparsevid::ops
