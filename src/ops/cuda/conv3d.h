// Convolutions on any GPU.
#pragma once

#include "ops/conv3d.h"

namespace sparsevid::ops::cuda {

/// As a matrix product whose rows are output pixels and whose columns of sums are the taps of the
/// window times the channels; no rows are written out. bf16 on the tensor cores, f32 exact in f32.
void conv3d(const Conv3dParams& params, Context& context);
/// Kernels of more than 32 taps.
std::string conv3d_refusal(const Conv3dParams& params, const Context& context);

}  // namespace sparsevid::ops::cuda
