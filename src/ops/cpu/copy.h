// Copies and conversions, over all threads.
#pragma once

#include "ops/copy.h"

namespace sparsevid::ops::cpu {

void copy(const CopyParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
