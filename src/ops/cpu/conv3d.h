// Convolutions by oneDNN, whose channels-last kernels work for every number of channels.
#pragma once

#include <string>

#include "ops/conv3d.h"

namespace sparsevid::ops::cpu {

/// In the type of the call.
std::string conv3d_onednn_refusal(const Conv3dParams& params, const Context& context);
void conv3d_onednn(const Conv3dParams& params, Context& context);

/// bf16 by way of f32 copies: for CPUs without instructions for it.
std::string conv3d_onednn_f32_refusal(const Conv3dParams& params, const Context& context);
void conv3d_onednn_f32(const Conv3dParams& params, Context& context);

}  // namespace sparsevid::ops::cpu
