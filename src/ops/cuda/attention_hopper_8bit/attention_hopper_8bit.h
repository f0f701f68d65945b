// Dense attention in 8 bits with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/attention_8bit.h"

namespace sparsevid::ops::cuda {

/// bf16, head_dim 128; strides of whole 16-byte units.
std::string attention_8bit_hopper_refusal(const Attention8bitParams& params,
                                          const Context& context);
void attention_8bit_hopper(const Attention8bitParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
