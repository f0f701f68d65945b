// The norms as loops over rows that compilers vectorise.
#pragma once

#include <cstdint>
#include <string>

#include "ops/channel_norm.h"
#include "ops/layer_norm.h"
#include "ops/layer_norm_modulate.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_rope.h"

namespace sparsevid::ops::cpu {

/// Why rows of this length are not for these loops; empty when they are.
std::string long_row_refusal(std::int64_t dim);

void layer_norm(const LayerNormParams& params, Context& context);
void layer_norm_modulate(const LayerNormModulateParams& params, Context& context);
void rms_norm(const RmsNormParams& params, Context& context);
void rms_norm_rope(const RmsNormRopeParams& params, Context& context);
void channel_norm(const ChannelNormParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
