// 3D convolution over channels-last video; a 2D one is kt = 1.
#pragma once

#include <array>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/conv_weight.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct Conv3dParams {
  TensorView x;              ///< [frames, height, width, in] f32 or bf16, contiguous
  const ConvWeight* weight;  ///< [out, in, kt, kh, kw], dtype of x; says how f32 is multiplied
  TensorView bias;           ///< [out] f32; may be undefined
  std::array<int, 3> stride = {1, 1, 1};
  std::array<int, 3> pad_begin = {0, 0, 0};  ///< zeros in front, above, left
  std::array<int, 3> pad_end = {0, 0, 0};    ///< zeros behind, below, right
  TensorView out;  ///< [frames', height', width', out], dtype of x, contiguous
};

void conv3d(const Conv3dParams& params, Context& context);
const ImplementationList<Conv3dParams>& conv3d_implementations();

}  // namespace sparsevid::ops
