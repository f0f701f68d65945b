// The truth of ops/copy.h.
#pragma once

#include "ops/copy.h"

namespace sparsevid::ops::ref {

void copy(const CopyParams& params, Context& context);

}  // namespace sparsevid::ops::ref
