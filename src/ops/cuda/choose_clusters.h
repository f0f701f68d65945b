// Choosing the pairs of clusters to compute, on the GPU.
#pragma once

#include <string>

#include "ops/choose_clusters.h"

namespace sparsevid::ops::cuda {

void choose_clusters(const ChooseClustersParams& params, Context& context);
std::string choose_clusters_refusal(const ChooseClustersParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
