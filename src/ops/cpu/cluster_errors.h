// Errors of clusters: a product of squared query means with key variances, and a square root.
#pragma once

#include "ops/cluster_errors.h"
#include "ops/cpu/cluster_kernel.h"

namespace sparsevid::ops::cpu {

/// The kernel must be one for f32.
void cluster_errors(const ClusterKernel& kernel, const ClusterErrorsParams& params,
                    Context& context);

}  // namespace sparsevid::ops::cpu
