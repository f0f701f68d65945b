// Frames in [-1, 1] to bytes: floor(255 clamp(x / 2 + 0.5, 0, 1)).
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ToRgb8Params {
  TensorView x;    ///< [frames, height, width, 3] f32 or bf16, contiguous
  TensorView out;  ///< like x, u8
};

void to_rgb8(const ToRgb8Params& params, Context& context);
const ImplementationList<ToRgb8Params>& to_rgb8_implementations();

}  // namespace sparsevid::ops
