// The mass that queries give each cluster of keys, on any GPU.
#pragma once

#include <string>

#include "ops/cluster_scores.h"

namespace sparsevid::ops::cuda {

/// Any type and head_dim, in f32.
void cluster_scores(const ClusterScoresParams& params, Context& context);
std::string cluster_scores_refusal(const ClusterScoresParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
