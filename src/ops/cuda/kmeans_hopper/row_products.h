// The main loop of k-means: rows times all centroids.
//
// The problem: [rows, head_dim] x [head_dim, clusters] for each head, and no room for the product:
//   75,600 x 1,000 a head. What follows (argmin) must happen where the sums are.
// Plan: a persistent grid, one block of 3 warpgroups on each multiprocessor, which takes 256
// neighbouring rows after the other. One thread streams tiles of up to 128 centroids
// (centroid_tiles.h) through a ring, where those of a head stay if there is room for all of them;
// another one brings the rows of the next item. Two warpgroups hold twice 64 rows as left operands
// in registers and see every tile. The product of one half runs while the sums of the other are
// read, and the two warpgroups drift apart, so the tensor cores always find work. Shared memory: 64
// KiB of rows, a ring of 29 KiB stages at 112 x 128, as many as fit. Registers: 232 a thread: 128
// sums, 64 left operands. Tried: three warpgroups with tiles of 200 centroids, 100 sums and 160
// registers: ptxas checks a product against the 128 registers that 512 threads start with, and
// refuses. A product in flight across the end of the loop: ptxas serialises all of them. Rows
// straight from global memory to registers: all of a block's come at once between two items, 1.5 us
// that nothing hides (a prefetch to L2 does not help: 64 KB through 64 bytes a clock); 415 TFLOP/s
// with 300 centroids. Bound: the tensor cores; of the centroids 256 KB pass from L2 for 256 rows, 3
// GB for a pass over 40 x 75,600 rows and 1,000 centroids, which takes less than half the time of
// the products.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/tma.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"
#include "ops/cuda/kmeans_hopper/centroid_tiles.h"

namespace sparsevid::ops::cuda {

constexpr int kRowGroups = 2;  // warpgroups with twice 64 rows each
constexpr int kRowsOfBlock = 128 * kRowGroups;
constexpr int kRowProductThreads = (kRowGroups + 1) * kWarpgroupThreads;
constexpr int kProducerRegisters = 40;
constexpr int kConsumerRegisters = 232;
// Warpgroups exchange the registers that the block starts with; one that asks for more waits
// forever.
static_assert(kProducerRegisters + kRowGroups * kConsumerRegisters <=
              65536 / kRowProductThreads / 8 * 8 * (kRowGroups + 1));

template <typename Job>
struct RowProductMemory {
  static constexpr int kStageBytes = CentroidTile<Job::kDim, Job::kTile>::kStageBytes;
  static constexpr int kOtherBytes = Job::kRowBytes + 256;
  static constexpr int kFree = 227 * 1024 - 1024 - kOtherBytes;
  static constexpr int kStages = kFree / kStageBytes < 8 ? kFree / kStageBytes : 8;
  static constexpr int kBytes = 1024 + kStages * kStageBytes + kOtherBytes;
};

/// A half of a warpgroup's rows in one thread. Which lane holds what of a product is in wgmma.h:
/// thread t has rows 16 (t / 32) + (t % 32) / 4 and that plus 8.
struct RowHalf {
  int which;  // of the halves of the block
  int warp;   // of the warpgroup
  int upper;  // the thread's first row in the half; the second is upper + 8
  int quarter;
};

/// Where 16 bytes of the first 64 columns of a row lie.
__device__ inline int row_place(int row, int i) { return row * 128 + (i ^ row % 8) * 16; }
__device__ inline uint4 choose(bool first, const uint4& a, const uint4& b) {
  return {first ? a.x : b.x, first ? a.y : b.y, first ? a.z : b.z, first ? a.w : b.w};
}

/// kRowsOfBlock rows of a head.
struct RowItem {
  int head, index;
};

/// The items of a block: its share, neighbours, of those of all heads that are not skipped.
template <typename Job>
struct RowItems {
  const Job& job;
  RowItem item;
  int left;

  /// All threads of a warp together.
  __device__ explicit RowItems(const Job& job_) : job(job_), item{0, 0} {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const auto busy = [&](int first) {
      return __ballot_sync(~0u, first + lane < job.heads && !job.skip(first + lane));
    };
    std::int64_t all = 0;
    for (int first = 0; first < job.heads; first += 32) all += __popc(busy(first));
    all *= job.items_of_head;
    const auto share = [&](unsigned blocks) { return static_cast<int>(all * blocks / gridDim.x); };
    const int begin = share(blockIdx.x);
    left = share(blockIdx.x + 1) - begin;
    if (left == 0) return;
    int rank = begin / job.items_of_head;
    item.index = begin % job.items_of_head;
    for (int first = 0; first < job.heads; first += 32) {
      unsigned heads = busy(first);
      if (rank >= __popc(heads)) {
        rank -= __popc(heads);
        continue;
      }
      for (; rank > 0; --rank) heads &= heads - 1;
      item.head = first + __ffs(heads) - 1;
      return;
    }
  }
  __device__ bool last_of_head() const { return item.index + 1 == job.items_of_head; }
  __device__ void advance() {
    if (--left == 0) return;
    if (++item.index < job.items_of_head) return;
    item.index = 0;
    do {
      ++item.head;
    } while (job.skip(item.head));
  }
};

/// Job: a type with
///   kDim, kTile; heads, items_of_head, tile_count
///   Half: the state of a half
///   bool skip(head): there is nothing to do; the same for all threads
///   const void* tiles(head): its centroids, tile_count tiles
///   kRowBytes, a multiple of 1024: shared memory for the rows of an item
///   void bring_rows(item, rows, filled): one thread copies them and arrives; 64 columns of all
///     rows, swizzled by 128 bytes, then the next 64
///   void begin(half, state)
///   void consume(tile, sums, floats, half, state)
///   void end(item, half, state)
template <typename Job>
__global__ void __launch_bounds__(kRowProductThreads, 1)
    row_products(const __grid_constant__ Job job) {
  constexpr int kDim = Job::kDim;
  constexpr int kTile = Job::kTile;
  using Tile = CentroidTile<kDim, kTile>;
  using Memory = RowProductMemory<Job>;
  constexpr int kStages = Memory::kStages;
  extern __shared__ unsigned char unaligned[];
  // By an offset, so that the compiler still knows it for shared memory.
  unsigned char* shared = unaligned + (1024 - shared_address(unaligned) % 1024) % 1024;
  unsigned char* shared_rows = shared + kStages * Memory::kStageBytes;
  auto* filled = reinterpret_cast<Barrier*>(shared_rows + Job::kRowBytes);
  Barrier* emptied = filled + kStages;
  Barrier* rows_filled = emptied + kStages;
  Barrier* rows_emptied = rows_filled + 1;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&filled[i], 1);
      barrier_init(&emptied[i], 4 * kRowGroups);
    }
    barrier_init(rows_filled, 1);
    barrier_init(rows_emptied, 4 * kRowGroups);
    barrier_init_fence();
  }
  __syncthreads();
  PipelineTurn<kStages> turn;
  RowItems<Job> items(job);
  const bool tiles_stay = job.tile_count <= kStages;

  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<kProducerRegisters>();
    const std::uint64_t keep = l2_keep();
    std::uint32_t rows_parity = 1;
    if (threadIdx.x == 32)
      for (; items.left > 0; items.advance()) {
        barrier_wait(rows_emptied, rows_parity);
        rows_parity ^= 1;
        job.bring_rows(items.item, shared_rows, rows_filled);
      }
    if (threadIdx.x != 0) return;
    int head = -1;
    for (; items.left > 0; items.advance()) {
      if (tiles_stay && items.item.head == head) continue;
      head = items.item.head;
      const auto* tile = static_cast<const unsigned char*>(job.tiles(head));
#pragma unroll 1
      for (int left = job.tile_count; left > 0; --left) {
        barrier_wait(&emptied[turn.stage], turn.parity ^ 1);
        barrier_arrive_expect(&filled[turn.stage], Tile::kBytes);
        copy_bytes(shared + turn.stage * Memory::kStageBytes, tile, Tile::kBytes,
                   &filled[turn.stage], keep);
        turn.advance();
        tile += Tile::kBytes;
      }
    }
  } else {
    take_registers<kConsumerRegisters>();
    const int lane = static_cast<int>(threadIdx.x) % 32;
    RowHalf half;
    // In a form that the compiler knows to be the same in the whole warp.
    const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0);
    half.which = (warp / 4 - 1) * 2;
    half.warp = warp % 4;
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
    std::uint32_t rows_parity = 0;
    // Eight lanes read of two neighbouring rows at a time: of an odd one first the half of 128
    // bytes that comes second of an even one, or they would meet in the same banks.
    const bool odd = half.upper % 2 == 1;
    const int first_row = half.which * 64 + half.upper;
    const int places[2] = {row_place(first_row, half.quarter + 4 * (odd ? 1 : 0)),
                           row_place(first_row, half.quarter + 4 * (odd ? 0 : 1))};
    const auto load = [&](int rows_behind, RowPart(&to)[kDim / 32]) {
#pragma unroll
      for (int i = 0; i < kDim / 32; i += 2) {
        const auto chunk = [&](int which, int behind) {
          return *reinterpret_cast<const uint4*>(
              shared_rows + places[which] + (i / 2 * kRowsOfBlock + rows_behind + behind) * 128);
        };
        const uint4 upper[2] = {chunk(0, 0), chunk(1, 0)};
        const uint4 lower[2] = {chunk(0, 8), chunk(1, 8)};
        to[i] = {choose(odd, upper[1], upper[0]), choose(odd, lower[1], lower[0])};
        to[i + 1] = {choose(odd, upper[0], upper[1]), choose(odd, lower[0], lower[1])};
      }
    };
    const auto release_rows = [&] {
      rows_parity ^= 1;
      loads_before_copies();
      __syncwarp();
      if (lane == 0) barrier_arrive(rows_emptied);
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
        wgmma_bf16(to, a, wgmma_operand(tile + k / 4 * kTile * 128 + k % 4 * 32, 1024, 0), k > 0);
      }
      wgmma_commit();
    };
    const auto floats = [&](int stage) {
      return reinterpret_cast<const float*>(shared + stage * Memory::kStageBytes +
                                            Tile::kMatrixBytes);
    };
    if (items.left > 0) {
      barrier_wait(rows_filled, rows_parity);
      load(0, rows);
      load(64, other_rows);
      release_rows();
    }
    RowItem before{-1, 0};
    const auto end = [&] {
      if (before.head < 0) return;
      job.end(before, half, state);
      job.end(before, other_half, other_state);
    };
    while (items.left > 0) {
      const RowItem item = items.item;
      const bool give_tiles_back = !tiles_stay || items.last_of_head();
      for (int tile = 0; tile < job.tile_count; ++tile) {
        barrier_wait(&filled[turn.stage], turn.parity);
        multiply(rows, sums, turn.stage);
        multiply(other_rows, other_sums, turn.stage);
        if (tile == 0) {  // what lies between two items passes while the tensor cores are busy
          end();
          job.begin(half, state);
          job.begin(other_half, other_state);
          items.advance();
        }
        const bool rows_are_done = tile + 1 == job.tile_count && items.left > 0;
        wgmma_wait<1>();
        pin_registers(sums);
        if (rows_are_done) {
          barrier_wait(rows_filled, rows_parity);
          load(0, rows);
        }
        job.consume(tile, sums, floats(turn.stage), half, state);
        wgmma_wait<0>();
        pin_registers(other_sums);
        if (rows_are_done) {
          load(64, other_rows);
          release_rows();
        }
        job.consume(tile, other_sums, floats(turn.stage), other_half, other_state);
        if (give_tiles_back) {
          loads_before_copies();
          __syncwarp();
          if (lane == 0) barrier_arrive(&emptied[turn.stage]);
        }
        turn.advance();
      }
      if (!give_tiles_back) turn.go_back(job.tile_count);
      before = item;
    }
    end();
  }
}

template <typename Job>
void launch_row_products(const Job& job, std::string_view op, const Context& context) {
  using Memory = RowProductMemory<Job>;
  static_assert(Memory::kStages >= 2);
  if (job.heads == 0 || job.items_of_head == 0) return;
  allow_shared_memory(row_products<Job>, Memory::kBytes, op);
  const int blocks = static_cast<int>(std::min<std::int64_t>(
      std::int64_t{job.heads} * job.items_of_head, device_facts().multiprocessors));
  row_products<Job><<<blocks, kRowProductThreads, Memory::kBytes, stream_of(context)>>>(job);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
