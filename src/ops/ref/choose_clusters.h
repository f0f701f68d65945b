// The truth of ops/choose_clusters.h.
#pragma once

#include "ops/choose_clusters.h"

namespace sparsevid::ops::ref {

void choose_clusters(const ChooseClustersParams& params, Context& context);

}  // namespace sparsevid::ops::ref
