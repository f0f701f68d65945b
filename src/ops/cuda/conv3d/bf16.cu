// The problem: 3 x 3 x 3 windows over 96 to 384 channels and up to 1.6 million pixels at a time (a
//   chunk of 4 frames of 480 x 832): 2592 to 10368 products for each output.
// Plan: a block makes 256 pixels x 96 columns (or 32) in 8 warps of 64 x 48 (32 x 32), 32 products
//   deep at a time. cp.async gathers 16 bytes (8 channels of one tap of one pixel) straight into
//   swizzled shared memory, four steps ahead, with zeros for what the padding covers: the
//   origins and the inside-bits of the pixels are computed once, into shared memory, because the
//   sums take 96 of the 128 registers. Blocks of the same pixels and other columns are neighbours,
//   so x comes from L2.
// Shared memory: 4 stages of (256 + 96) x 64 bytes and 2 KiB of windows = 90 KiB; two blocks fit.
// Bound: mma.sync, about 600 TFLOP/s on an H200; 7 ldmatrix for 24 products leave shared memory at
//   three quarters of its rate.
#include "ops/cuda/common/cp_async.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/ldmatrix.h"
#include "ops/cuda/common/mma_sync.h"
#include "ops/cuda/conv3d/problem.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 256;
constexpr int kDepth = kConvDepthBf16;
constexpr int kStages = 4;
constexpr int kRowBytes = kDepth * 2;
constexpr int kPieces = kRowBytes / 16;  // of a row of a stage
constexpr int kRowsPerPass = kThreads / kPieces;

/// Where a piece of 16 bytes lies; 8 neighbouring rows of one piece hit all banks once. Rows that
/// differ by a multiple of 8 differ in their place by so many rows.
__device__ inline unsigned swizzled(int row, int piece) {
  return static_cast<unsigned>(row * kRowBytes + (piece ^ (row >> 1 & 3)) * 16);
}

template <int kColumns>
constexpr int stage_bytes() {
  return (kPixels + kColumns) * kRowBytes;
}

template <int kWarpRows, int kWarpColumns, int kWarpsAcross>
__global__ void __launch_bounds__(kThreads, 2) conv_bf16_kernel(const ConvProblem p) {
  constexpr int kColumns = kWarpColumns * kWarpsAcross;
  constexpr int kWindows = kPixels / kRowsPerPass;
  constexpr int kRowBlocks = kWarpRows / 16;
  constexpr int kColumnBlocks = kWarpColumns / 8;
  static_assert(kThreads == kPixels);
  static_assert(kWarpRows * (kThreads / 32 / kWarpsAcross) == kPixels);
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ int offsets[kMostTaps];
  __shared__ Window windows[kPixels];

  const int thread = static_cast<int>(threadIdx.x);
  const unsigned column_tiles = (p.columns + kColumns - 1) / kColumns;
  const std::int64_t first_pixel = static_cast<std::int64_t>(blockIdx.x / column_tiles) * kPixels;
  const int first_column = static_cast<int>(blockIdx.x % column_tiles) * kColumns;
  if (thread < kMostTaps) offsets[thread] = thread < p.taps ? tap_offset(p, thread) : 0;

  const int piece = thread % kPieces;
  const int load_row = thread / kPieces;
  windows[thread] = window_of(p, first_pixel + thread);
  __syncthreads();

  const int pieces_of_tap = p.channels / 8;
  int tap = piece / pieces_of_tap;
  int channel = piece % pieces_of_tap * 8;
  const auto* x = static_cast<const device_bf16*>(p.x);
  const auto* weight = static_cast<const device_bf16*>(p.weight) +
                       static_cast<std::int64_t>(first_column + load_row) * p.packed_row +
                       piece * 8;
  const int weight_pass = kRowsPerPass * p.packed_row;
  const int steps = p.packed_row / kDepth;
  const unsigned stages = shared_address(shared);
  const unsigned load_place = swizzled(load_row, piece);

  const auto load_step = [&](int step) {
    if (step < steps) {
      const unsigned stage = stages + step % kStages * stage_bytes<kColumns>() + load_place;
      const bool real = tap < p.taps;
      const int offset = real ? offsets[tap] + channel : 0;
#pragma unroll
      for (int i = 0; i < kWindows; ++i) {
        const Window window = windows[load_row + i * kRowsPerPass];
        const bool inside = real && (window.inside >> tap & 1) != 0;
        cp_async_16(stage + i * kRowsPerPass * kRowBytes, x + (inside ? window.origin + offset : 0),
                    inside);
      }
#pragma unroll
      for (int i = 0; i * kRowsPerPass < kColumns; ++i)
        if ((i + 1) * kRowsPerPass <= kColumns || load_row < kColumns - i * kRowsPerPass)
          cp_async_16(stage + (kPixels + i * kRowsPerPass) * kRowBytes, weight + i * weight_pass,
                      true);
      weight += kDepth;
      channel += kDepth;
      while (channel >= p.channels) {
        channel -= p.channels;
        ++tap;
      }
    }
    cp_async_commit();
  };

  const int warp = thread / 32;
  const int lane = thread % 32;
  const int warp_row = warp / kWarpsAcross * kWarpRows;
  const int warp_column = warp % kWarpsAcross * kWarpColumns;
  // Matrices of b: 8 columns and both halves of 16 products, then the next 8 columns.
  const unsigned a_place = swizzled(warp_row + lane % 16, lane / 16);
  const unsigned b_place =
      kPixels * kRowBytes + swizzled(warp_column + lane % 8 + lane / 16 * 8, lane / 8 % 2);
  float sums[kRowBlocks][kColumnBlocks][4] = {};

#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) load_step(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();
    __syncthreads();
    load_step(step + kStages - 1);
    const unsigned stage = stages + step % kStages * stage_bytes<kColumns>();
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      // The next 16 products are two pieces on: the bit of 32 bytes, which the swizzle exchanges.
      const unsigned a_at = stage + (a_place ^ k * 32);
      const unsigned b_at = stage + (b_place ^ k * 32);
      unsigned b[kColumnBlocks / 2][4];
#pragma unroll
      for (int j = 0; j < kColumnBlocks / 2; ++j) ldmatrix_x4(b[j], b_at + j * 16 * kRowBytes);
#pragma unroll
      for (int i = 0; i < kRowBlocks; ++i) {
        unsigned a[4];
        ldmatrix_x4(a, a_at + i * 16 * kRowBytes);
#pragma unroll
        for (int j = 0; j < kColumnBlocks; ++j)
          mma_bf16(sums[i][j], a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  auto* out = static_cast<device_bf16*>(p.out);
  const bool pairs = p.columns % 2 == 0;
#pragma unroll
  for (int j = 0; j < kColumnBlocks; ++j) {
    const int column = first_column + warp_column + j * 8 + lane % 4 * 2;
    if (column >= p.columns) continue;
    const bool second = column + 1 < p.columns;
    const float bias0 = p.bias != nullptr ? p.bias[column] : 0.0F;
    const float bias1 = p.bias != nullptr && second ? p.bias[column + 1] : 0.0F;
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const std::int64_t pixel = first_pixel + warp_row + i * 16 + lane / 4 + half * 8;
        if (pixel >= p.pixels) continue;
        device_bf16* to = out + pixel * p.columns + column;
        const float first = sums[i][j][half * 2] + bias0;
        const float next = sums[i][j][half * 2 + 1] + bias1;
        if (pairs) {
          *reinterpret_cast<unsigned*>(to) = pack_bf16(first, next);
        } else {
          to[0] = __float2bfloat16_rn(first);
          if (second) to[1] = __float2bfloat16_rn(next);
        }
      }
  }
}

template <int kWarpRows, int kWarpColumns, int kWarpsAcross>
void launch(const ConvProblem& p, const Context& context) {
  constexpr int kColumns = kWarpColumns * kWarpsAcross;
  constexpr int kBytes = kStages * stage_bytes<kColumns>();
  const auto kernel = conv_bf16_kernel<kWarpRows, kWarpColumns, kWarpsAcross>;
  allow_shared_memory(kernel, kBytes, "conv3d");
  const auto blocks = static_cast<unsigned>(ceil_div(p.pixels, std::int64_t{kPixels}) *
                                            ceil_div(p.columns, kColumns));
  kernel<<<blocks, kThreads, kBytes, stream_of(context)>>>(p);
  check_launch("conv3d");
}

}  // namespace

void conv3d_bf16(const ConvProblem& problem, Context& context) {
  if (problem.columns <= kConvNarrowColumns) {
    launch<32, kConvNarrowColumns, 1>(problem, context);
  } else {
    launch<64, kConvWideColumns / 2, 2>(problem, context);
  }
}

}  // namespace sparsevid::ops::cuda
