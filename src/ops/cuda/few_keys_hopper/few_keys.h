// Attention to few keys with Hopper's tensor cores: cross attention to text.
#pragma once

#include <string>

#include "ops/attention.h"

namespace sparsevid::ops::cuda {

/// bf16, head_dim 128, up to 512 keys, with or without a bias of the keys; strides of whole 16-byte
/// units.
std::string few_keys_hopper_refusal(const AttentionParams& params, const Context& context);
void few_keys_hopper(const AttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
