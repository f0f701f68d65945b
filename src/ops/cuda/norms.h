// Norms over rows: of the transformer and the text encoder (norm_rows/), and of the VAE, whose
// rows are short (channel_norm.cu).
#pragma once

#include "ops/channel_norm.h"
#include "ops/layer_norm.h"
#include "ops/layer_norm_modulate.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_rope.h"

namespace sparsevid::ops::cuda {

void layer_norm(const LayerNormParams& params, Context& context);
void layer_norm_modulate(const LayerNormModulateParams& params, Context& context);
void rms_norm(const RmsNormParams& params, Context& context);
void rms_norm_rope(const RmsNormRopeParams& params, Context& context);
void channel_norm(const ChannelNormParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
