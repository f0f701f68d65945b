// Linear layers on Hopper in one kernel each: our own, because cuBLASLt adds no f32 bias to what it
// rounds to bf16.
#pragma once

#include "ops/linear.h"

namespace sparsevid::ops::cuda {

void linear_hopper(const LinearParams& params, Context& context);
/// Other types than bf16, activations other than none and GELU (tanh), few rows, odd alignments.
std::string linear_hopper_refusal(const LinearParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
