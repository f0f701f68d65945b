// Copies between tensors of any strides and types, on the GPU.
#pragma once

#include "ops/copy.h"

namespace sparsevid::ops::cuda {

void copy(const CopyParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
