// The truth of ops/cluster_errors.h.
#pragma once

#include "ops/cluster_errors.h"

namespace sparsevid::ops::ref {

void cluster_errors(const ClusterErrorsParams& params, Context& context);

}  // namespace sparsevid::ops::ref
