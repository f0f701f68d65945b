// The cases that test and time ops/conv3d.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/conv3d.h"

namespace sparsevid::ops {

struct Conv3dCase {
  std::string_view name;
  std::int64_t frames, height, width, in, out;
  std::array<int, 3> kernel;
  DType dtype;
  std::array<int, 3> stride = {1, 1, 1};
  std::array<int, 3> pad_begin = {0, 0, 0};
  std::array<int, 3> pad_end = {0, 0, 0};
  bool bias = true;
};

inline std::vector<Conv3dCase> conv3d_cases() {
  return {
      {"CausalF32", 3, 7, 9, 8, 16, {3, 3, 3}, DType::f32, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      {"CausalBf16", 3, 7, 9, 8, 16, {3, 3, 3}, DType::bf16, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      {"CachedFramesF32", 5, 7, 9, 16, 16, {3, 3, 3}, DType::f32, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
      {"CachedFramesBf16",
       5,
       7,
       9,
       96,
       40,
       {3, 3, 3},
       DType::bf16,
       {1, 1, 1},
       {0, 1, 1},
       {0, 1, 1}},
      {"ToRgbF32", 2, 8, 8, 24, 3, {3, 3, 3}, DType::f32, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      {"ToRgbBf16", 2, 8, 8, 24, 3, {3, 3, 3}, DType::bf16, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      {"FromRgbF32", 2, 8, 8, 3, 17, {3, 3, 3}, DType::f32, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      {"FromRgbBf16", 2, 8, 8, 3, 17, {3, 3, 3}, DType::bf16, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      {"PointF32", 2, 5, 6, 12, 20, {1, 1, 1}, DType::f32},
      {"PointBf16",
       2,
       5,
       6,
       12,
       20,
       {1, 1, 1},
       DType::bf16,
       {1, 1, 1},
       {0, 0, 0},
       {0, 0, 0},
       false},
      {"TimeF32", 4, 5, 6, 16, 32, {3, 1, 1}, DType::f32, {1, 1, 1}, {2, 0, 0}},
      {"TimeBf16", 4, 5, 6, 16, 32, {3, 1, 1}, DType::bf16, {1, 1, 1}, {2, 0, 0}},
      {"TimeStrideF32", 5, 5, 6, 16, 16, {3, 1, 1}, DType::f32, {2, 1, 1}},
      {"SpaceStrideF32", 2, 8, 10, 16, 16, {1, 3, 3}, DType::f32, {1, 2, 2}, {0, 0, 0}, {0, 1, 1}},
      {"SpaceStrideBf16",
       2,
       8,
       10,
       16,
       16,
       {1, 3, 3},
       DType::bf16,
       {1, 2, 2},
       {0, 0, 0},
       {0, 1, 1}},
      {"FrameF32", 2, 6, 7, 16, 8, {1, 3, 3}, DType::f32, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, false},
      {"OnePixelF32", 1, 1, 1, 5, 3, {3, 3, 3}, DType::f32, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
      // More than one tile, the last ones cut, of kernels that work on 256 pixels, 96 columns and
      // 64 channels.
      {"CutTilesBf16", 4, 5, 18, 48, 104, {3, 3, 3}, DType::bf16, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
      {"CutDepthBf16", 3, 7, 40, 96, 40, {3, 1, 1}, DType::bf16, {1, 1, 1}, {2, 0, 0}, {0, 0, 0}},
      // Products of pixels and padding in time, where oneDNN for AMX is wrong for some sizes.
      {"WidePointBf16", 4, 5, 257, 48, 64, {1, 1, 1}, DType::bf16},
      {"OneChannelBf16", 2, 4, 4, 1, 1, {1, 3, 3}, DType::bf16, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
      // The same in f32, where a step is 32 channels and a few columns are 32.
      {"CutTilesF32", 4, 5, 18, 48, 104, {3, 3, 3}, DType::f32, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
      {"CutDepthF32", 3, 7, 40, 96, 40, {3, 1, 1}, DType::f32, {1, 1, 1}, {2, 0, 0}, {0, 0, 0}},
      {"ManyColumnsF32", 3, 6, 34, 36, 200, {1, 3, 3}, DType::f32, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
      {"OddColumnsF32", 2, 4, 4, 33, 35, {1, 3, 3}, DType::f32, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
  };
}

struct Conv3dInputs {
  Tensor x, weight_memory, bias, out;
  ConvWeight weight;
  Conv3dParams params;

  explicit Conv3dInputs(const Conv3dCase& c)
      : x(random_tensor({c.frames, c.height, c.width, c.in}, 1, c.dtype)),
        weight_memory(
            random_tensor({c.out, c.in, c.kernel[0], c.kernel[1], c.kernel[2]}, 2, c.dtype)),
        bias(random_tensor({c.out}, 3)),
        weight{weight_memory, nullptr} {
    Shape shape = x->shape();
    for (int axis = 0; axis < 3; ++axis) {
      const auto i = static_cast<std::size_t>(axis);
      shape[axis] = (shape[axis] + c.pad_begin[i] + c.pad_end[i] - c.kernel[i]) / c.stride[i] + 1;
    }
    shape[3] = c.out;
    out = Tensor(c.dtype, shape);
    params = {x,         &weight, c.bias ? bias.view() : TensorView(), c.stride, c.pad_begin,
              c.pad_end, out};
  }
};

}  // namespace sparsevid::ops
