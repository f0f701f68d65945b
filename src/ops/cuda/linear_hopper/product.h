// out = activation(row_scale column_scale (x weight^T) + bias) with x and weight in bf16 or fp8.
//
// The problem: [75600, 5120] x [5120, 5120]^T in bf16 is 4.0 TFLOP; weights and activations are
//   read from memory once, from L2 often.
// Plan: tiles of 128 rows x 256 columns, 128 bytes of the sum (64 bf16, 128 fp8) at a time.
//   Warpgroup 0 gives up its registers; one thread of it keeps the copy engine four steps ahead.
//   Warpgroups 1 and 2 take 64 rows each: m64n256 products from shared memory into 128 registers,
//   one step in flight while the one before it is handed back.
//   Two blocks are a cluster: they work on neighbouring rows and the same columns, each fetches
//   half of the weight's tile and the copy engine gives it to both. That cuts what each
//   multiprocessor draws from L2 from 48 to 32 KiB a step, 10 to 7 TB/s at full rate. Persistent: a
//   cluster walks over tiles, eight pairs of row tiles by all columns before the next eight, so
//   that activations stay in L2 while weights stream through. The next tile's copies run while this
//   one's results are scaled, rounded and stored. Four lanes exchange their columns through
//   shuffles, so that each stores 16 bytes of bf16.
// Tried: a bias for each warpgroup, so that one can run ahead and store while the other multiplies:
//   what it runs ahead is taken from the copies' lead, and it is 5 % slower at long sums.
// Shared memory: 4 stages of (128 + 256) x 128 bytes = 192 KiB.
// Bound: the tensor cores at the clock the power limit leaves: 790 to 840 TFLOP/s in bf16.
// The sums of fp8 products are kept as the tensor core keeps them, with fewer bits than f32: far
// below what rounding the operands to fp8 cost.
#pragma once

#include <cuda.h>

#include "ops/cuda/common/activation.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/exchange_columns.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda {

struct ProductProblem {
  void* out;
  const float* bias;          // null: 0
  const float* row_scale;     // null: 1
  const float* column_scale;  // null: 1
  std::int64_t rows, out_stride;
  int columns;
  int steps;  // of 128 bytes along the sum
  int row_pairs, column_tiles;
};

namespace product {

constexpr int kRows = 128;
constexpr int kColumns = 256;
constexpr int kRowBytes = 128;
constexpr int kStages = 4;
constexpr int kCluster = 2;
constexpr int kConsumers = 2;  // warpgroups
constexpr int kThreads = (1 + kConsumers) * kWarpgroupThreads;
constexpr int kRowBytesOfStage = kRows * kRowBytes;
constexpr int kColumnBytesOfStage = kColumns * kRowBytes;
constexpr int kStageBytes = kRowBytesOfStage + kColumnBytesOfStage;
constexpr int kPairsTogether = 8;  // pairs of row tiles that share a walk over the columns

constexpr int kConsumerBarrier = 1;
constexpr int kConsumerThreads = kConsumers * kWarpgroupThreads;
static_assert(kColumns == kConsumerThreads, "a thread for the bias of each column");

struct Shared {
  unsigned char stage[kStages][kStageBytes];
  float bias[kColumns];  // of the tile in work, and the scales of its columns
  float column_scale[kColumns];
  Barrier full[kStages];
  Barrier empty[kStages];
};
constexpr int kSharedBytes = sizeof(Shared) + 1024;  // the stages want an alignment of 1024

__device__ inline void copy_matrix_box(void* shared, const CUtensorMap& map, Barrier* barrier,
                                       int column, int row) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row)
      : "memory");
}
__device__ inline void copy_matrix_box_to_blocks(void* shared, const CUtensorMap& map,
                                                 Barrier* barrier, int column, int row,
                                                 std::uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row), "h"(blocks)
      : "memory");
}

struct Place {
  int row_pair, column_tile;
};
/// The tiles in the order in which clusters take them.
__device__ inline Place place_of(const ProductProblem& p, int tile) {
  const int group_tiles = kPairsTogether * p.column_tiles;
  const int group = tile / group_tiles;
  const int pairs = min(kPairsTogether, p.row_pairs - group * kPairsTogether);
  const int in_group = tile - group * group_tiles;
  return {group * kPairsTogether + in_group % pairs, in_group / pairs};
}

/// The 64 rows of a warpgroup.
template <typename Out, Activation kActivation, bool kScaled>
__device__ void store_tile(const ProductProblem& p, float (&sums)[kColumns / 2],
                           std::int64_t first_row, int first_column, const float* tile_bias,
                           const float* tile_scale) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int q = lane % 4;
  const std::int64_t top = first_row + threadIdx.x % kWarpgroupThreads / 32 * 16 + lane / 4;
  float row_scale[2] = {1, 1};
  if constexpr (kScaled) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
      if (top + 8 * half < p.rows) row_scale[half] = p.row_scale[top + 8 * half];
  }
#pragma unroll
  for (int group = 0; group < kColumns / 32; ++group) {
    const int column = first_column + group * 32;
    if (column >= p.columns) break;
    std::uint32_t packed[2][4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = column + j * 8 + q * 2;
      const int in_tile = group * 32 + j * 8 + q * 2;
      const float2 bias = *reinterpret_cast<const float2*>(tile_bias + in_tile);
      float2 scale = {1, 1};
      if constexpr (kScaled) scale = *reinterpret_cast<const float2*>(tile_scale + in_tile);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int index = (group * 4 + j) * 4 + half * 2;
        float2 value;
        if constexpr (kScaled) {
          value.x = sums[index] * (row_scale[half] * scale.x) + bias.x;
          value.y = sums[index + 1] * (row_scale[half] * scale.y) + bias.y;
        } else {
          value.x = sums[index] + bias.x;
          value.y = sums[index + 1] + bias.y;
        }
        value = activation_pair<kActivation>(value);
        if constexpr (sizeof(Out) == 4) {
          const std::int64_t row = top + 8 * half;
          if (at < p.columns && row < p.rows)
            *reinterpret_cast<float2*>(static_cast<float*>(p.out) + row * p.out_stride + at) =
                value;
        } else {
          packed[half][j] = pack_bf16(value.x, value.y);
        }
      }
    }
    if constexpr (sizeof(Out) == 2) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        exchange_columns(packed[half], q);
        const std::int64_t row = top + 8 * half;
        if (row < p.rows && column + q * 8 < p.columns)
          *reinterpret_cast<uint4*>(static_cast<device_bf16*>(p.out) + row * p.out_stride + column +
                                    q * 8) =
              make_uint4(packed[half][0], packed[half][1], packed[half][2], packed[half][3]);
      }
    }
  }
}

/// kFp8: operands in e4m3, with scales of rows and columns; else bf16.
template <bool kFp8, typename Out, Activation kActivation>
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    product_kernel(const __grid_constant__ CUtensorMap x_map,
                   const __grid_constant__ CUtensorMap weight_map, const ProductProblem p) {
  constexpr int kStepElements = kRowBytes / (kFp8 ? 1 : 2);
  extern __shared__ unsigned char unaligned[];
  Shared& shared =
      *reinterpret_cast<Shared*>(unaligned + (1024 - shared_address(unaligned) % 1024) % 1024);
  const auto rank = static_cast<int>(cluster_rank());
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&shared.full[i], 1);
      barrier_init(&shared.empty[i], kCluster * kConsumers * 4);
    }
    barrier_init_fence();
  }
  cluster_sync();

  const int tiles = p.row_pairs * p.column_tiles;
  const int first_tile = static_cast<int>(blockIdx.x) / kCluster;
  const int tile_step = static_cast<int>(gridDim.x) / kCluster;
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupThreads;
  PipelineTurn<kStages> turn;
  if (warpgroup == 0) {
    give_up_registers<40>();
    if (threadIdx.x == 0) {
      for (int tile = first_tile; tile < tiles; tile += tile_step) {
        const Place place = place_of(p, tile);
        const int row = (place.row_pair * kCluster + rank) * kRows;
        const int column = place.column_tile * kColumns + rank * (kColumns / kCluster);
        for (int step = 0; step < p.steps; ++step) {
          unsigned char* stage = shared.stage[turn.stage];
          barrier_wait(&shared.empty[turn.stage], turn.parity ^ 1);
          barrier_arrive_expect(&shared.full[turn.stage], kStageBytes);
          copy_matrix_box(stage, x_map, &shared.full[turn.stage], step * kStepElements, row);
          copy_matrix_box_to_blocks(
              stage + kRowBytesOfStage + rank * (kColumnBytesOfStage / kCluster), weight_map,
              &shared.full[turn.stage], step * kStepElements, column, (1 << kCluster) - 1);
          turn.advance();
        }
      }
    }
    __syncwarp();
  } else {
    take_registers<232>();
    const int consumer = warpgroup - 1;
    const bool signals = threadIdx.x % 32 < kCluster;  // lane b of a warp tells block b
    const auto release = [&](int stage) {
      if (signals) barrier_arrive_at(&shared.empty[stage], threadIdx.x % 32);
    };
    const int thread = static_cast<int>(threadIdx.x) - kWarpgroupThreads;
    for (int tile = first_tile; tile < tiles; tile += tile_step) {
      const Place place = place_of(p, tile);
      const int first_column = place.column_tile * kColumns;
      // The other warpgroup may still read those of the tile before.
      named_barrier_wait(kConsumerBarrier, kConsumerThreads);
      const bool inside = first_column + thread < p.columns;
      shared.bias[thread] = inside && p.bias != nullptr ? p.bias[first_column + thread] : 0.0F;
      if constexpr (kFp8)
        shared.column_scale[thread] = inside ? p.column_scale[first_column + thread] : 0.0F;

      float sums[kColumns / 2];
      int before = -1;
      for (int step = 0; step < p.steps; ++step) {
        barrier_wait(&shared.full[turn.stage], turn.parity);
        const unsigned char* stage = shared.stage[turn.stage];
        const std::uint64_t a =
            wgmma_operand(stage + consumer * (kRowBytesOfStage / kConsumers), 1024, 0);
        const std::uint64_t b = wgmma_operand(stage + kRowBytesOfStage, 1024, 0);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < kRowBytes / 32; ++k) {
          // 32 bytes on, in units of 16.
          if constexpr (kFp8) {
            wgmma_e4m3(sums, a + 2 * k, b + 2 * k, step > 0 || k > 0);
          } else {
            wgmma_bf16(sums, a + 2 * k, b + 2 * k, step > 0 || k > 0);
          }
        }
        wgmma_commit();
        if (before >= 0) {
          wgmma_wait<1>();
          release(before);
        }
        before = turn.stage;
        turn.advance();
      }
      wgmma_wait<0>();
      pin_registers(sums);
      release(before);
      named_barrier_wait(kConsumerBarrier, kConsumerThreads);
      const std::int64_t row = static_cast<std::int64_t>(place.row_pair * kCluster + rank) * kRows +
                               consumer * (kRows / kConsumers);
      store_tile<Out, kActivation, kFp8>(p, sums, row, first_column, shared.bias,
                                         shared.column_scale);
    }
  }
  // No block leaves while the other may still write to its memory or its barriers.
  cluster_sync();
}

}  // namespace product
}  // namespace sparsevid::ops::cuda
