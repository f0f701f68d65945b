// What leaving clusters of keys to their means would cost, on the GPU.
#pragma once

#include "ops/cluster_errors.h"

namespace sparsevid::ops::cuda {

void cluster_errors(const ClusterErrorsParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
