// Every pixel twice in height and width.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct UpsampleNearestParams {
  TensorView x;    ///< [frames, height, width, channels] f32 or bf16, contiguous
  TensorView out;  ///< [frames, 2 height, 2 width, channels], dtype of x
};

void upsample_nearest(const UpsampleNearestParams& params, Context& context);
const ImplementationList<UpsampleNearestParams>& upsample_nearest_implementations();

}  // namespace sparsevid::ops
