#pragma once

#include "ops/quantize_rows.h"

namespace sparsevid::ops::ref {

void quantize_rows(const QuantizeRowsParams& params, Context& context);

}  // namespace sparsevid::ops::ref
