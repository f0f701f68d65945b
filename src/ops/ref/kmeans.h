// The truth of ops/kmeans.h.
#pragma once

#include "ops/kmeans.h"

namespace sparsevid::ops::ref {

void kmeans(const KMeansParams& params, Context& context);

}  // namespace sparsevid::ops::ref
