// The truth of ops/gated_residual.h.
#pragma once

#include "ops/gated_residual.h"

namespace sparsevid::ops::ref {

void gated_residual(const GatedResidualParams& params, Context& context);

}  // namespace sparsevid::ops::ref
