// Attention inside a band with Hopper's tensor cores.
#pragma once

#include <string>

#include "ops/band_attention.h"

namespace sparsevid::ops::cuda {

/// bf16, head_dim 64 or 128; strides of whole 16-byte units; no more frames than a tile has keys.
std::string band_attention_hopper_refusal(const BandAttentionParams& params,
                                          const Context& context);
void band_attention_hopper(const BandAttentionParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
