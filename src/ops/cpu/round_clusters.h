#pragma once

#include "ops/round_clusters.h"

namespace sparsevid::ops::cpu {

void round_clusters(const RoundClustersParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
