// The mass that queries give each cluster of keys, with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/cluster_scores.h"

namespace sparsevid::ops::cuda {

/// Every query, in bf16 with head_dim 64 or 128, on Hopper.
void cluster_scores_hopper(const ClusterScoresParams& params, Context& context);
std::string cluster_scores_hopper_refusal(const ClusterScoresParams& params,
                                          const Context& context);

}  // namespace sparsevid::ops::cuda
