// Convolutions with Hopper's tensor cores.
#pragma once

#include "ops/conv3d.h"

namespace sparsevid::ops::cuda {

/// bf16 with products on Hopper's own tensor core instructions; packs its weights as
/// ops/cuda/conv3d does.
void conv3d_hopper(const Conv3dParams& params, Context& context);
/// f32, strides, channels that are no multiples of 32, few columns.
std::string conv3d_hopper_refusal(const Conv3dParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
