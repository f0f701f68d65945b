#pragma once

#include "ops/copy.h"

namespace sparsevid::ops::cuda {

void copy(const CopyParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
