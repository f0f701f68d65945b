// Linear layers by cuBLASLt, and by a plain kernel where it refuses.
#pragma once

#include "ops/linear.h"

namespace sparsevid::ops::cuda {

/// The product by cuBLASLt; bias and activation in its epilogue where it has them in the precision
/// of the contract, else in a pass of our own over f32 sums.
void linear(const LinearParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
