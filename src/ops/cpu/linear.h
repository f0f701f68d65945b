// Matrix products by oneDNN.
#pragma once

#include <string>

#include "ops/linear.h"

namespace sparsevid::ops::cpu {

/// In the types of the call: f32 throughout, or bf16 to f32 or bf16.
std::string linear_onednn_refusal(const LinearParams& params, const Context& context);
void linear_onednn(const LinearParams& params, Context& context);

/// Any types, by way of f32 copies of tiles: for bf16 on CPUs without instructions for it.
void linear_onednn_f32(const LinearParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
