// A convolution as a matrix product: out [pixels, columns] = windows [pixels, taps * channels]
// weight^T, where the windows are never written out.
#pragma once

#include <cstdint>
#include <functional>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/conv_weight.h"

namespace sparsevid::ops::cuda {

/// Taps of one window; whether each lies inside x is one bit of a word.
constexpr int kMostTaps = 32;

struct ConvProblem {
  const void* x;       // [frames, height, width, channels]
  const void* weight;  // packed: [columns, rounded up][taps * channels, rounded up]
  const float* bias;   // null: 0
  void* out;           // [pixels, columns]
  int frames, height, width, channels;
  int out_frames, out_height, out_width, columns;
  int kernel[3], stride[3], pad[3];
  int taps;
  int packed_row;       // elements in a row of the packed weight
  std::int64_t pixels;  // of out
};

/// Where the window of one output pixel begins in x, in elements, and which taps lie inside.
struct alignas(8) Window {
  int origin;
  unsigned inside;
};

__device__ inline Window window_of(const ConvProblem& p, std::int64_t pixel) {
  if (pixel >= p.pixels) return {0, 0};
  auto rest = static_cast<unsigned>(pixel);
  const int w = static_cast<int>(rest % p.out_width) * p.stride[2] - p.pad[2];
  rest /= p.out_width;
  const int h = static_cast<int>(rest % p.out_height) * p.stride[1] - p.pad[1];
  const int t = static_cast<int>(rest / p.out_height) * p.stride[0] - p.pad[0];
  Window window = {((t * p.height + h) * p.width + w) * p.channels, 0};
  unsigned tap = 0;
  for (int a = 0; a < p.kernel[0]; ++a)
    for (int b = 0; b < p.kernel[1]; ++b)
      for (int c = 0; c < p.kernel[2]; ++c, ++tap) {
        const bool inside = t + a >= 0 && t + a < p.frames && h + b >= 0 && h + b < p.height &&
                            w + c >= 0 && w + c < p.width;
        window.inside |= static_cast<unsigned>(inside) << tap;
      }
  return window;
}

/// From the origin of a window to one of its taps, in elements.
__device__ inline int tap_offset(const ConvProblem& p, int tap) {
  const int c = tap % p.kernel[2];
  const int b = tap / p.kernel[2] % p.kernel[1];
  const int a = tap / p.kernel[2] / p.kernel[1];
  return ((a * p.height + b) * p.width + c) * p.channels;
}

/// Multiples that the kernels want: bf16 channels of 16 bytes, rows and columns of whole tiles.
constexpr int kConvChannelsBf16 = 8;
constexpr int kConvDepthBf16 = 32;
constexpr int kConvNarrowColumns = 32;  // a tile for the few columns of an image
constexpr int kConvWideColumns = 96;
constexpr int kConvDepthF32 = 16;
constexpr int kConvColumnsF32 = 64;

void conv3d_bf16(const ConvProblem& problem, Context& context);
void conv3d_f32(const ConvProblem& problem, Context& context);

/// What `weight` keeps packed in this form, made where it keeps nothing or another one.
TensorView kept_packed(const ConvWeight& weight, F32Products form,
                       const std::function<Tensor()>& make);
/// The copy of the weight that the kernels read, made at its first use, for inputs of `channels`:
/// bf16 or exact f32.
TensorView packed_weight(const ConvWeight& weight, int channels, Context& context);
/// packed [columns, taps * channels], zero where it is larger than weight [out, in, taps].
void pack_conv_weight(const TensorView& weight, int channels, const TensorView& packed,
                      Context& context);
/// out [pixels, more channels] = x [pixels, channels] and zeros, both bf16.
void pad_channels(const TensorView& x, const TensorView& out, Context& context);

}  // namespace sparsevid::ops::cuda
