// Choosing entries: a heap for one row, a histogram of priorities for all rows at once.
#pragma once

#include "ops/choose_clusters.h"

namespace sparsevid::ops::cpu {

void choose_clusters(const ChooseClustersParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
