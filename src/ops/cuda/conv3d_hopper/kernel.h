// The problem: 3 x 3 x 3 windows over 96 to 384 channels and up to 1.6 million pixels at a time:
//   2592 to 10368 products for each output, 274 TFLOP for a 480p clip of 81 frames.
// Plan: tiles of 256 pixels (16 x 16 of one frame, or other sides where they waste less) x 192
//   columns, or 96, or 32 in f32 for the few of an image. A step is one tap of the window and 128
//   bytes of channels (factors.h): the copy engine fetches the tile's pixels, moved by the tap, as
//   one box, and writes zeros for what lies outside, which is the padding; and the weights of that
//   tap. Channels past the last cost neither reads nor products: 96 of bf16 are a step of 64 and
//   one of 32. Warpgroup 0 gives up its registers; one thread of it keeps the copies ahead.
//   Warpgroups 1 and 2 take 128 pixels each, as two products of 64 rows. Two blocks are a cluster:
//   neighbouring tiles of pixels and the same columns; each fetches half of the weights for both.
//   Persistent. In bf16 four lanes exchange their columns through shuffles, so that each stores 16
//   bytes.
// Shared memory: (256 + 192) x 128 bytes a stage, 3 stages = 168 KiB (96 columns: 4 stages, 176
//   KiB; 32: 4, 144 KiB).
// Bound: at 192 columns the tensor cores. At 96 a step takes .65 us, and its products .42 or less;
//   reads from L2 are 59 bytes a cycle at full rate. tf32 halves the channels of a step at the same
//   bytes and the same time of the tensor cores: .57 and .67 of bf16's rate. bf16x3 makes 6
//   products of the bytes of which tf32 makes 4: .36 and .47 of it, with splitting the input.
#pragma once

#include <cuda.h>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/exchange_columns.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"
#include "ops/cuda/conv3d_hopper/factors.h"

namespace sparsevid::ops::cuda {

struct ConvTiles {
  void* out;          // [frames, height, width, columns], bf16 or f32 as the factors are
  const float* bias;  // null: 0
  int frames, height, width, columns;
  int channels;  // those of x, or more: their places are zeros
  int kernel[3], pad[3];
  int tile_height, tile_width;  // 256 pixels
  int tiles_down, tiles_across;
  int pixel_pairs, column_tiles;  // pairs of pixel tiles: a cluster's
};

namespace conv {

constexpr int kPixels = 256;
constexpr int kRowBytes = 128;
constexpr int kFewColumns = 32;  // of an image
constexpr int kCluster = 2;
constexpr int kConsumers = 2;                       // warpgroups
constexpr int kBlocks = kPixels / kConsumers / 64;  // products of 64 rows in each
constexpr int kThreads = (1 + kConsumers) * kWarpgroupThreads;
constexpr int kPixelBytes = kPixels * kRowBytes;

template <int kColumns>
struct Shared {
  static constexpr int kStages = kColumns > 96 ? 3 : 4;
  static constexpr int kColumnBytes = kColumns * kRowBytes;
  static constexpr int kStageBytes = kPixelBytes + kColumnBytes;
  unsigned char stage[kStages][kStageBytes];
  Barrier full[kStages];
  Barrier empty[kStages];
};

/// [frames, height, width, channels] of the pixels.
__device__ inline void copy_pixels(void* shared, const CUtensorMap& map, Barrier* barrier,
                                   int channel, int column, int row, int frame) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(channel), "r"(column), "r"(row), "r"(frame)
      : "memory");
}
/// [columns, taps, channels] of the weights, a box of one tap, for every block named in `blocks`.
__device__ inline void copy_weights(void* shared, const CUtensorMap& map, Barrier* barrier,
                                    int channel, int tap, int column, std::uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(channel), "r"(tap), "r"(column), "h"(blocks)
      : "memory");
}

/// Where a tile of pixels begins. Tiles past the last lie in a frame that does not exist: they read
/// zeros and write nothing.
struct Corner {
  int frame, row, column;
};
__device__ inline Corner corner_of(const ConvTiles& p, int tile) {
  const int in_frame = p.tiles_down * p.tiles_across;
  const int frame = tile / in_frame;
  const int rest = tile - frame * in_frame;
  return {frame, rest / p.tiles_across * p.tile_height, rest % p.tiles_across * p.tile_width};
}

/// A thread's sums of two pixels, which lie at `to` (null: outside), rounded to bf16. `q`: the
/// place of the thread among four neighbours.
template <int kColumns>
__device__ void store_sums(const ConvTiles& p, float (&sums)[kColumns / 2], int first_column, int q,
                           device_bf16* (&to)[2]) {
#pragma unroll
  for (int group = 0; group < kColumns / 32; ++group) {
    const int column = first_column + group * 32;
    std::uint32_t packed[2][4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = column + j * 8 + q * 2;
      float2 bias = {0, 0};
      if (p.bias != nullptr && at < p.columns) bias = *reinterpret_cast<const float2*>(p.bias + at);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int index = (group * 4 + j) * 4 + half * 2;
        packed[half][j] = pack_bf16(sums[index] + bias.x, sums[index + 1] + bias.y);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      exchange_columns(packed[half], q);
      if (to[half] != nullptr && column + q * 8 < p.columns)
        *reinterpret_cast<uint4*>(to[half] + column + q * 8) =
            make_uint4(packed[half][0], packed[half][1], packed[half][2], packed[half][3]);
    }
  }
}

/// In f32 two columns are 8 bytes and those of four lanes a whole sector. The few columns of an
/// image may be odd in number and are written one by one then.
template <int kColumns>
__device__ void store_sums(const ConvTiles& p, float (&sums)[kColumns / 2], int first_column, int q,
                           float* (&to)[2]) {
  const bool pairs = kColumns > kFewColumns || p.columns % 2 == 0;
#pragma unroll
  for (int j = 0; j < kColumns / 8; ++j) {
    const int column = first_column + j * 8 + q * 2;
    if (column >= p.columns) continue;
    const bool second = pairs || column + 1 < p.columns;
    const float bias0 = p.bias != nullptr ? p.bias[column] : 0.0F;
    const float bias1 = p.bias != nullptr && second ? p.bias[column + 1] : 0.0F;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (to[half] == nullptr) continue;
      const float first_sum = sums[j * 4 + half * 2] + bias0;
      const float second_sum = sums[j * 4 + half * 2 + 1] + bias1;
      if (pairs) {
        *reinterpret_cast<float2*>(to[half] + column) = make_float2(first_sum, second_sum);
      } else {
        to[half][column] = first_sum;
        if (second) to[half][column + 1] = second_sum;
      }
    }
  }
}

/// 64 of the tile's pixels, from `first` on.
template <int kColumns, class Out>
__device__ void store_block(const ConvTiles& p, float (&sums)[kColumns / 2], const Corner& corner,
                            int first, int first_column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int q = lane % 4;
  const int top = first + static_cast<int>(threadIdx.x) % kWarpgroupThreads / 32 * 16 + lane / 4;
  Out* to[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int pixel = top + 8 * half;
    const int row = corner.row + pixel / p.tile_width;
    const int column = corner.column + pixel % p.tile_width;
    const bool inside = corner.frame < p.frames && row < p.height && column < p.width;
    to[half] =
        inside
            ? static_cast<Out*>(p.out) +
                  ((static_cast<std::int64_t>(corner.frame) * p.height + row) * p.width + column) *
                      p.columns
            : nullptr;
  }
  store_sums<kColumns>(p, sums, first_column, q, to);
}

/// The products from kBegin to kEnd of a step.
template <class Factors, int kBegin, int kEnd, int kSums>
__device__ void multiply(float (&sums)[kBlocks][kSums], std::uint64_t pixels, std::uint64_t weights,
                         bool add) {
#pragma unroll
  for (int product = kBegin; product < kEnd; ++product) {
    const PiecePair pieces = Factors::pieces(product);
#pragma unroll
    for (int block = 0; block < kBlocks; ++block)
      // A block of 64 rows is 8 KiB, a piece 32 bytes; in units of 16.
      Factors::multiply(sums[block], pixels + block * (64 * kRowBytes / 16) + 2 * pieces.pixels,
                        weights + 2 * pieces.weights, add || product > kBegin);
  }
}

template <int kColumns, class Factors>
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    conv_kernel(const __grid_constant__ CUtensorMap x_map,
                const __grid_constant__ CUtensorMap weight_map, const ConvTiles p) {
  using Memory = Shared<kColumns>;
  constexpr int kStages = Memory::kStages;
  extern __shared__ unsigned char unaligned[];
  Memory& shared =
      *reinterpret_cast<Memory*>(unaligned + (1024 - shared_address(unaligned) % 1024) % 1024);
  const auto rank = static_cast<int>(cluster_rank());
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&shared.full[i], 1);
      barrier_init(&shared.empty[i], kCluster * kConsumers * 4);
    }
    barrier_init_fence();
  }
  cluster_sync();

  const int tiles = p.pixel_pairs * p.column_tiles;
  const int first_tile = static_cast<int>(blockIdx.x) / kCluster;
  const int tile_step = static_cast<int>(gridDim.x) / kCluster;
  const int taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupThreads;
  PipelineTurn<kStages> turn;
  if (warpgroup == 0) {
    give_up_registers<24>();
    if (threadIdx.x == 0) {
      for (int tile = first_tile; tile < tiles; tile += tile_step) {
        const Corner corner = corner_of(p, tile / p.column_tiles * kCluster + rank);
        const int column = tile % p.column_tiles * kColumns + rank * (kColumns / kCluster);
        int tap = 0;
        for (int a = 0; a < p.kernel[0]; ++a)
          for (int b = 0; b < p.kernel[1]; ++b)
            for (int c = 0; c < p.kernel[2]; ++c, ++tap)
              for (int channel = 0; channel < p.channels; channel += Factors::kDepth) {
                unsigned char* stage = shared.stage[turn.stage];
                Barrier* full = &shared.full[turn.stage];
                barrier_wait(&shared.empty[turn.stage], turn.parity ^ 1);
                barrier_arrive_expect(full, Memory::kStageBytes);
                copy_pixels(stage, x_map, full, channel * Factors::kPlaces,
                            corner.column + c - p.pad[2], corner.row + b - p.pad[1],
                            corner.frame + a - p.pad[0]);
                copy_weights(stage + kPixelBytes + rank * (Memory::kColumnBytes / kCluster),
                             weight_map, full, channel * Factors::kPlaces, tap, column,
                             (1 << kCluster) - 1);
                turn.advance();
              }
      }
    }
    __syncwarp();
  } else {
    take_registers<240>();
    const int consumer = warpgroup - 1;
    const bool signals = threadIdx.x % 32 < kCluster;  // lane b of a warp tells block b
    const auto release = [&](int stage) {
      if (signals) barrier_arrive_at(&shared.empty[stage], threadIdx.x % 32);
    };
    for (int tile = first_tile; tile < tiles; tile += tile_step) {
      float sums[kBlocks][kColumns / 2];
      int before = -1;
      for (int tap = 0; tap < taps; ++tap)
        for (int channel = 0; channel < p.channels; channel += Factors::kDepth) {
          barrier_wait(&shared.full[turn.stage], turn.parity);
          const unsigned char* stage = shared.stage[turn.stage];
          const std::uint64_t a =
              wgmma_operand(stage + consumer * (kPixelBytes / kConsumers), 1024, 0);
          const std::uint64_t b = wgmma_operand(stage + kPixelBytes, 1024, 0);
          wgmma_fence();
          multiply<Factors, 0, Factors::kHalfProducts>(sums, a, b, before >= 0);
          if (channel + Factors::kDepth / 2 < p.channels)
            multiply<Factors, Factors::kHalfProducts, Factors::kProducts>(sums, a, b, true);
          wgmma_commit();
          if (before >= 0) {
            wgmma_wait<1>();
            release(before);
          }
          before = turn.stage;
          turn.advance();
        }
      wgmma_wait<0>();
#pragma unroll
      for (int block = 0; block < kBlocks; ++block) pin_registers(sums[block]);
      release(before);
      const Corner corner = corner_of(p, tile / p.column_tiles * kCluster + rank);
#pragma unroll
      for (int block = 0; block < kBlocks; ++block)
        store_block<kColumns, typename Factors::Out>(p, sums[block], corner,
                                                     (consumer * kBlocks + block) * 64,
                                                     tile % p.column_tiles * kColumns);
    }
  }
  // No block leaves while the other may still write to its memory or its barriers.
  cluster_sync();
}

}  // namespace conv
}  // namespace sparsevid::ops::cuda
