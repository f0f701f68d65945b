// Dense attention with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/attention.h"

namespace sparsevid::ops::cuda {

/// bf16, head_dim 64 or 128, no bias; strides of whole 16-byte units.
std::string attention_hopper_refusal(const AttentionParams& params, const Context& context);
void attention_hopper(const AttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
