// The problem: as in bf16.cu, in f32 without rounding products: for parity with other programs, not
//   for speed.
// Plan: a block makes 128 pixels x 64 columns, 16 products deep at a time; a thread 8 x 4.
// Shared memory: (128 + 64) x 16 floats = 12 KiB.
// Bound: f32 multiply-adds.
#include "ops/cuda/common/launch.h"
#include "ops/cuda/conv3d/problem.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 128;
constexpr int kColumns = kConvColumnsF32;
constexpr int kDepth = kConvDepthF32;
constexpr int kRowsPerPass = kThreads / kDepth;
constexpr int kThreadPixels = 8;
constexpr int kThreadColumns = 4;

__global__ void __launch_bounds__(kThreads) conv_f32_kernel(const ConvProblem p) {
  __shared__ float pixels[kDepth][kPixels + 4];
  __shared__ float columns[kDepth][kColumns + 4];
  __shared__ Window windows[kPixels];
  const int thread = static_cast<int>(threadIdx.x);
  const unsigned column_tiles = (p.columns + kColumns - 1) / kColumns;
  const std::int64_t first_pixel = static_cast<std::int64_t>(blockIdx.x / column_tiles) * kPixels;
  const int first_column = static_cast<int>(blockIdx.x % column_tiles) * kColumns;
  if (thread < kPixels) windows[thread] = window_of(p, first_pixel + thread);
  __syncthreads();

  const auto* x = static_cast<const float*>(p.x);
  const auto* weight = static_cast<const float*>(p.weight);
  const int lane = thread % kDepth;
  const int load_row = thread / kDepth;
  const int across = thread % (kColumns / kThreadColumns);
  const int down = thread / (kColumns / kThreadColumns);
  float sums[kThreadPixels][kThreadColumns] = {};
  for (int begin = 0; begin < p.packed_row; begin += kDepth) {
    const int tap = (begin + lane) / p.channels;
    const int channel = (begin + lane) % p.channels;
    const int offset = tap < p.taps ? tap_offset(p, tap) + channel : 0;
#pragma unroll
    for (int row = load_row; row < kPixels; row += kRowsPerPass) {
      const bool inside = tap < p.taps && (windows[row].inside >> tap & 1) != 0;
      pixels[lane][row] = inside ? x[windows[row].origin + offset] : 0.0F;
    }
#pragma unroll
    for (int row = load_row; row < kColumns; row += kRowsPerPass)
      columns[lane][row] =
          weight[static_cast<std::int64_t>(first_column + row) * p.packed_row + begin + lane];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float a[kThreadPixels];
      float b[kThreadColumns];
#pragma unroll
      for (int i = 0; i < kThreadPixels; ++i) a[i] = pixels[k][down * kThreadPixels + i];
#pragma unroll
      for (int j = 0; j < kThreadColumns; ++j) b[j] = columns[k][across * kThreadColumns + j];
#pragma unroll
      for (int i = 0; i < kThreadPixels; ++i)
#pragma unroll
        for (int j = 0; j < kThreadColumns; ++j) sums[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
  auto* out = static_cast<float*>(p.out);
#pragma unroll
  for (int i = 0; i < kThreadPixels; ++i) {
    const std::int64_t pixel = first_pixel + down * kThreadPixels + i;
    if (pixel >= p.pixels) continue;
#pragma unroll
    for (int j = 0; j < kThreadColumns; ++j) {
      const int column = first_column + across * kThreadColumns + j;
      if (column >= p.columns) continue;
      out[pixel * p.columns + column] = sums[i][j] + (p.bias != nullptr ? p.bias[column] : 0.0F);
    }
  }
}

}  // namespace

void conv3d_f32(const ConvProblem& problem, Context& context) {
  const auto blocks = static_cast<unsigned>(ceil_div(problem.pixels, std::int64_t{kPixels}) *
                                            ceil_div(problem.columns, kColumns));
  conv_f32_kernel<<<blocks, kThreads, 0, stream_of(context)>>>(problem);
  check_launch("conv3d");
}

}  // namespace sparsevid::ops::cuda
