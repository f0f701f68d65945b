// Linear layers in fp8 with Hopper's tensor cores.
#pragma once

#include "ops/linear_fp8.h"

namespace sparsevid::ops::cuda {

void linear_fp8_hopper(const LinearFp8Params& params, Context& context);
/// Activations other than none and GELU (tanh), odd alignments.
std::string linear_fp8_hopper_refusal(const LinearFp8Params& params, const Context& context);

}  // namespace sparsevid::ops::cuda
