// Convolutions with Hopper's tensor cores.
#pragma once

#include "ops/conv3d.h"

namespace sparsevid::ops::cuda {

/// Products on Hopper's own tensor core instructions, in the three kinds of factors that these
/// take. bf16 and tf32 read weights packed as ops/cuda/conv3d does; bf16x3 splits x in a pass of
/// its own.
void conv3d_hopper(const Conv3dParams& params, Context& context);
void conv3d_hopper_tf32(const Conv3dParams& params, Context& context);
void conv3d_hopper_bf16x3(const Conv3dParams& params, Context& context);

/// f32, strides, channels that are no multiples of 32, few columns.
std::string conv3d_hopper_refusal(const Conv3dParams& params, const Context& context);
/// Anything but f32 whose weight asks for tf32; strides, channels that are no multiples of 4.
std::string conv3d_hopper_tf32_refusal(const Conv3dParams& params, const Context& context);
/// Anything but f32 whose weight asks for bf16x3; strides.
std::string conv3d_hopper_bf16x3_refusal(const Conv3dParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
