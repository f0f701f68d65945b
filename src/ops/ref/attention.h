// attention in fp64, query by query.
#pragma once

#include "ops/attention.h"

namespace sparsevid::ops::ref {

void attention(const AttentionParams& params, Context& context);

}  // namespace sparsevid::ops::ref
