// The main loop that k-means and the scores of clusters share: rows times all centroids.
//
// The problem: [rows, head_dim] x [head_dim, clusters] for each head, and no room for the product:
//   75,600 x 1,000 a head. What follows (argmin, softmax) must happen where the sums are.
// Plan: a persistent grid, one block of 3 warpgroups on each multiprocessor. One thread streams
// tiles
//   of up to 128 centroids (centroid_tiles.h) through a ring; the two others hold twice 64 rows as
//   left operands in registers and see every tile. The product of one half runs while the sums of
//   the other are read, and the two warpgroups drift apart, so the tensor cores always find work.
//   The next rows are loaded as soon as the last product with these is done.
// Shared memory: a ring of 29 KiB stages at 112 x 128, as many as fit.
// Registers: 240 a thread: 128 sums, 64 left operands.
// Tried: three warpgroups with tiles of 200 centroids, 100 sums and 160 registers: ptxas checks a
//   product against the 128 registers that 512 threads start with, and refuses. A product in flight
//   across the end of the loop: ptxas serialises all of them.
// Bound: the tensor cores; of the centroids 256 KB pass from L2 for 256 rows, 3 GB for a pass over
//   40 x 75,600 rows and 1,000 centroids, which takes less than half the time of the products.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/tma.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"
#include "ops/cuda/kmeans_hopper/centroid_tiles.h"
#include "ops/cuda/kmeans_hopper/wgmma_rows.h"

namespace sparsevid::ops::cuda {

constexpr int kRowGroups = 2;  // warpgroups with twice 64 rows each
constexpr int kRowsOfBlock = 128 * kRowGroups;
constexpr int kRowProductThreads = (kRowGroups + 1) * kWarpgroupThreads;
constexpr int kProducerRegisters = 24;
constexpr int kConsumerRegisters = 240;
// Warpgroups exchange the registers that the block starts with; one that asks for more waits
// forever.
static_assert(kProducerRegisters + kRowGroups * kConsumerRegisters <=
              65536 / kRowProductThreads / 8 * 8 * (kRowGroups + 1));

template <int kDim, int kTile, int kExtraBytes>
struct RowProductMemory {
  static constexpr int kStageBytes = CentroidTile<kDim, kTile>::kStageBytes;
  static constexpr int kFree = 227 * 1024 - 1024 - 256 - kExtraBytes;
  static constexpr int kStages = kFree / kStageBytes < 8 ? kFree / kStageBytes : 8;
  static constexpr int kBytes = 1024 + kStages * kStageBytes + kExtraBytes + 256;
};

/// A half of a warpgroup's rows in one thread. Which lane holds what of a product is in wgmma.h:
/// thread t has rows 16 (t / 32) + (t % 32) / 4 and that plus 8.
struct RowHalf {
  int which;  // of the halves of the block
  int warp;   // of the warpgroup
  int upper;  // the thread's first row in the half; the second is upper + 8
  int quarter;
};

/// The four threads that share two rows ask for their lines.
template <int kDim>
__device__ void prefetch_rows(const void* (&rows)[2], int quarter) {
  const char* row = static_cast<const char*>(quarter < 2 ? rows[0] : rows[1]);
  if (kDim * 2 > 128 || quarter % 2 == 0)
    asm volatile("prefetch.global.L2 [%0];" ::"l"(row + quarter % 2 * 128));
}

/// Job: a type with
///   kDim, kTile, kPasses, kExtraBytes (shared memory of its own); items, tile_count
///   Half: the state of a half
///   bool skip(item): there is nothing to do; the same for all threads
///   const void* tiles(item): the centroids of its head, tile_count tiles
///   void find_rows(item, half, rows): the thread's two rows
///   void begin(item, half, state): they are loaded
///   void consume<kPass>(tile, sums, floats, half, state, extra)
///   void between_passes(half, state)
///   void end(item, half, state)
template <typename Job>
__global__ void __launch_bounds__(kRowProductThreads, 1) row_products(const Job initial) {
  constexpr int kDim = Job::kDim;
  constexpr int kTile = Job::kTile;
  using Tile = CentroidTile<kDim, kTile>;
  using Memory = RowProductMemory<kDim, kTile, Job::kExtraBytes>;
  constexpr int kStages = Memory::kStages;
  extern __shared__ unsigned char unaligned[];
  // By an offset, so that the compiler still knows it for shared memory.
  unsigned char* shared = unaligned + (1024 - shared_address(unaligned) % 1024) % 1024;
  unsigned char* extra = shared + kStages * Memory::kStageBytes;
  auto* filled = reinterpret_cast<Barrier*>(extra + Job::kExtraBytes);
  Barrier* emptied = filled + kStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&filled[i], 1);
      barrier_init(&emptied[i], 4 * kRowGroups);
    }
    barrier_init_fence();
  }
  __syncthreads();
  Job job = initial;
  PipelineTurn<kStages> turn;

  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<kProducerRegisters>();
    const std::uint64_t keep = l2_keep();
    for (int item = static_cast<int>(blockIdx.x); item < job.items; item += gridDim.x) {
      if (threadIdx.x != 0 || job.skip(item)) continue;
      const auto* tile = static_cast<const unsigned char*>(job.tiles(item));
      int left = job.tile_count;
#pragma unroll 1
      for (int step = Job::kPasses * job.tile_count; step > 0; --step) {
        barrier_wait(&emptied[turn.stage], turn.parity ^ 1);
        barrier_arrive_expect(&filled[turn.stage], Tile::kBytes);
        copy_bytes(shared + turn.stage * Memory::kStageBytes, tile, Tile::kBytes,
                   &filled[turn.stage], keep);
        turn.advance();
        tile += Tile::kBytes;
        if (--left > 0) continue;
        tile -= static_cast<std::int64_t>(job.tile_count) * Tile::kBytes;
        left = job.tile_count;
      }
    }
  } else {
    take_registers<kConsumerRegisters>();
    const int lane = static_cast<int>(threadIdx.x) % 32;
    RowHalf half;
    half.which = (static_cast<int>(threadIdx.x) / kWarpgroupThreads - 1) * 2;
    half.warp = static_cast<int>(threadIdx.x) % kWarpgroupThreads / 32;
    half.upper = half.warp * 16 + lane / 4;
    half.quarter = lane % 4;
    RowHalf other_half = half;
    ++other_half.which;

    RowPart rows[kDim / 32];
    RowPart other_rows[kDim / 32];
    typename Job::Half state;
    typename Job::Half other_state;
    float sums[kTile / 2];
    float other_sums[kTile / 2];
    const void* begins[2][2];  // of the rows of the two halves
    const auto load = [&](const void*(&from)[2], RowPart(&to)[kDim / 32]) {
      const auto* upper = static_cast<const uint4*>(from[0]) + half.quarter;
      const auto* lower = static_cast<const uint4*>(from[1]) + half.quarter;
#pragma unroll
      for (int i = 0; i < kDim / 32; ++i) to[i] = {__ldg(upper + 4 * i), __ldg(lower + 4 * i)};
    };
    const auto multiply = [&](const RowPart(&left)[kDim / 32], float(&to)[kTile / 2], int stage) {
      const unsigned char* tile = shared + stage * Memory::kStageBytes;
      pin_registers(to);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) {
        std::uint32_t a[4];
        if (k % 2 == 0) {
          left_operand<0>(left[k / 2], a);
        } else {
          left_operand<1>(left[k / 2], a);
        }
        multiply_rows(to, a, wgmma_operand(tile + k / 4 * kTile * 128 + k % 4 * 32, 1024, 0),
                      k > 0);
      }
      wgmma_commit();
    };
    const auto floats = [&](int stage) {
      return reinterpret_cast<const float*>(shared + stage * Memory::kStageBytes +
                                            Tile::kMatrixBytes);
    };
    const auto next_item = [&](int i) {
      while (i < job.items && job.skip(i)) i += static_cast<int>(gridDim.x);
      return i;
    };
    int item = next_item(static_cast<int>(blockIdx.x));
    if (item < job.items) {
      job.find_rows(item, half, begins[0]);
      job.find_rows(item, other_half, begins[1]);
      load(begins[0], rows);
      load(begins[1], other_rows);
    }
    while (item < job.items) {
      const int next = next_item(item + static_cast<int>(gridDim.x));
      job.begin(item, half, state);
      job.begin(item, other_half, other_state);
      const auto pass_over_tiles = [&](auto pass, bool last_pass) {
        constexpr int kPass = decltype(pass)::value;
        for (int tile = 0; tile < job.tile_count; ++tile) {
          const bool rows_are_done = last_pass && tile + 1 == job.tile_count && next < job.items;
          barrier_wait(&filled[turn.stage], turn.parity);
          multiply(rows, sums, turn.stage);
          multiply(other_rows, other_sums, turn.stage);
          if (last_pass && tile == 0 && next < job.items) {
            // By the time they are loaded the next rows have come to L2.
            job.find_rows(next, half, begins[0]);
            job.find_rows(next, other_half, begins[1]);
            prefetch_rows<kDim>(begins[0], half.quarter);
            prefetch_rows<kDim>(begins[1], half.quarter);
          }
          wgmma_wait<1>();
          pin_registers(sums);
          if (rows_are_done) load(begins[0], rows);
          job.template consume<kPass>(tile, sums, floats(turn.stage), half, state, extra);
          wgmma_wait<0>();
          pin_registers(other_sums);
          if (rows_are_done) load(begins[1], other_rows);
          job.template consume<kPass>(tile, other_sums, floats(turn.stage), other_half, other_state,
                                      extra);
          __syncwarp();
          if (lane == 0) barrier_arrive(&emptied[turn.stage]);
          turn.advance();
        }
      };
      if constexpr (Job::kPasses == 2) {
        pass_over_tiles(Constant<0>(), false);
        job.between_passes(half, state);
        job.between_passes(other_half, other_state);
      }
      pass_over_tiles(Constant<Job::kPasses - 1>(), true);
      job.end(item, half, state);
      job.end(item, other_half, other_state);
      item = next;
    }
  }
}

template <typename Job>
void launch_row_products(const Job& job, std::string_view op, const Context& context) {
  using Memory = RowProductMemory<Job::kDim, Job::kTile, Job::kExtraBytes>;
  static_assert(Memory::kStages >= 2);
  if (job.items == 0) return;
  check(cudaFuncSetAttribute(row_products<Job>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             Memory::kBytes),
        op);
  const int blocks = std::min(job.items, device_facts().multiprocessors);
  row_products<Job><<<blocks, kRowProductThreads, Memory::kBytes, stream_of(context)>>>(job);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
