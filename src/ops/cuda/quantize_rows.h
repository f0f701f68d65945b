// Rows in fp8 with a scale for each, on the GPU.
#pragma once

#include "ops/quantize_rows.h"

namespace sparsevid::ops::cuda {

void quantize_rows(const QuantizeRowsParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
