// The kernel of cluster_scores_hopper.cu: for each chunk of queries the masses of all means.
//
// The problem: 40 heads x 75,600 queries x 1,000 means x 128: 0.77 TFLOP, 3.0 billion exponentials,
//   and a softmax over all means before anything can be added up over the queries.
// Plan: the means of a head are dealt out to a team of up to eight blocks, two tiles of up to 128
//   each, which stay in shared memory. One block runs on each multiprocessor, all at once, and each
//   team walks through its share of all chunks of 64 queries, two at a time, with the means of
//   mostly two or three heads. Each of four warpgroups of a block takes one tile and every other
//   chunk: it multiplies them and turns the logits into exponentials, which go to shared memory as
//   bf16. Each warp tells the warps of the other tiles, which have the same 16 queries, the largest
//   logit and the mass of these in its tile (exchange.h); what it hears makes factors by which the
//   exponentials are added up over the queries (chunk_masses.h), after the products of the next
//   chunk. So there is one product and one exponential for each query and mean. Two warps for each
//   of the two chunks gather the queries of the next. Every scheduler has four warps that compute,
//   each at another place.
// Shared memory: 66 KiB of means, 32 KiB of queries, 64 KiB of exponentials, 16 KiB of sums.
// Registers: 112, of these 64 logits, which turn into 32 of exponentials.
// Bound: exponentials, 16 a clock, as long as the product takes: 1.0 ms. The traffic of shared
//   memory comes before: 3,000 of its cycles for two chunks, 1.3 ms. 2.25 measured.
// Nobody overwrites what is still to be heard: a warp tells of its chunk n after it has finished
//   n - 2, for which it heard all warps of the same queries tell of n - 2, and these had finished
//   n - 4, which stood in the same place, before that. Words of n - 4 and n differ in their time.
//   Sums over the queries alternate between two places: who writes one has met the other warps of
//   its warpgroup since they read it.
// Tried: clusters of neighbouring blocks, which exchange through each other's shared memory: of 132
//   multiprocessors clusters of four leave some idle, and one was started anew for every 64 chunks:
//   2.71 ms. Exponentials added up while the product of the next chunk runs, with two places for
//   queries and registers for both: 2.63 ms. Two warpgroups with both tiles each, queries in
//   registers, and the product of one tile during the exponentials of the other, 3.2 ms: two warps
//   on each scheduler, 30 % of its issue slots used. Two passes over the means while the queries
//   stay in registers, the first for the masses: two products, twice the exponentials, 3.5 ms.
#pragma once

#include <cstdint>

#include "ops/cuda/cluster_scores_hopper/chunk_masses.h"
#include "ops/cuda/cluster_scores_hopper/chunks.h"
#include "ops/cuda/cluster_scores_hopper/exchange.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/tma.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"
#include "ops/cuda/kmeans_hopper/centroid_tiles.h"

namespace sparsevid::ops::cuda {

constexpr int kTilesOfBlock = 2;
constexpr int kChunksAtOnce = 2;
constexpr int kScoreGroups = kTilesOfBlock * kChunksAtOnce;  // warpgroups that compute
constexpr int kScoreThreads = (kScoreGroups + 1) * kWarpgroupThreads;
constexpr int kGatherWarps = 4 / kChunksAtOnce;  // of a chunk
constexpr int kGatherRegisters = 32;
constexpr int kScoreRegisters = 112;
// Warpgroups exchange the registers that the block starts with; one that asks for more waits
// forever.
static_assert(kGatherRegisters + kScoreGroups * kScoreRegisters <=
              65536 / kScoreThreads / 8 * 8 * (kScoreGroups + 1));

struct ScoreArguments {
  const __nv_bfloat16* q;
  std::int64_t head_stride, row_stride;
  const int* order;
  std::int64_t order_stride;
  const Chunk* chunks;  // [heads, most_chunks]
  const int* firsts;    // [heads, q_clusters + 1]
  int first_head, heads, q_clusters, most_chunks;
  int columns;  // of sums, all of them written
  const unsigned char* packed;
  float scale;  // of logits in base 2
  float* sums;  // [heads of this launch, most_chunks, sum_pitch]
  int sum_pitch;
  Told* told;  // [teams, kChunksAtOnce, kToldTurns, tiles of a team, kChunk], zeros at first
};

constexpr int kToldTurns = 4;  // after which words are written over
constexpr std::int64_t told_by_team(int blocks) {
  return std::int64_t{kChunksAtOnce} * kToldTurns * blocks * kTilesOfBlock * kChunk;
}

/// Chunks [first, last) of a head.
struct Stretch {
  int head, first, last;
};

/// Calls `body` with each stretch of a team's share of all chunks.
template <int kBlocks, typename Body>
__device__ void for_stretches(const ScoreArguments& a, const Body& body) {
  const auto chunks_of = [&](int head) {
    return a
        .firsts[static_cast<std::int64_t>(a.first_head + head) * (a.q_clusters + 1) + a.q_clusters];
  };
  int all = 0;
#pragma unroll 16
  for (int head = 0; head < a.heads; ++head) all += chunks_of(head);
  const int teams = static_cast<int>(gridDim.x) / kBlocks;
  const int team = static_cast<int>(blockIdx.x) / kBlocks;
  const auto share = [&](int of_teams) {
    return static_cast<int>(std::int64_t{all} * of_teams / teams);
  };
  const int begin = share(team);
  const int end = share(team + 1);
  int before = 0;
  for (int head = 0; head < a.heads && before < end; ++head) {
    const int own = chunks_of(head);
    const Stretch stretch{a.first_head + head, max(begin - before, 0), min(end - before, own)};
    if (stretch.first < stretch.last) body(stretch);
    before += own;
  }
}

template <int kDim, int kTile>
struct ScoreShared {
  using Tile = CentroidTile<kDim, kTile>;
  alignas(1024) unsigned char tiles[kTilesOfBlock][Tile::kStageBytes];
  // As the tensor cores want them: swizzled by 128 bytes, 64 columns a slab.
  unsigned char rows[kChunksAtOnce][kChunk * kDim * 2];
  WarpTile<kTile> masses[kScoreGroups][4];
  WarpSums<kTile> of_warps[2][kScoreGroups][4];
  TileSizes<kTile> sizes[kTilesOfBlock];
  Stretch stretch;  // whose means these are; no chunks: there are no more
  Barrier tiles_filled;
  Barrier tiles_emptied;
  Barrier rows_filled[kChunksAtOnce];
  Barrier rows_emptied[kChunksAtOnce];
};

/// Which of the chunks and tiles a warpgroup has.
struct ScoreGroup {
  int chunk, tile;
  int number;  // of the warpgroup
};

/// Brings the means of each stretch, and half of the queries of every other chunk; one warp.
template <int kDim, int kTile, int kBlocks>
__device__ void bring(const ScoreArguments& a, ScoreShared<kDim, kTile>& shared, int warp) {
  using Tile = CentroidTile<kDim, kTile>;
  constexpr int kPieces = kDim / 8;      // of 16 bytes
  constexpr int kAtOnce = 32 / kPieces;  // rows
  static_assert(kGatherWarps * 32 == kChunk);
  const int group = warp / kGatherWarps;
  const int part = warp % kGatherWarps;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = lane / kPieces;
  const int piece = lane % kPieces;
  const std::uint32_t to =
      shared_address(shared.rows[group]) + piece / 8 * (kChunk * 128) + (32 * part + row) * 128;
  const std::uint64_t policy = l2_give_up();
  std::uint32_t parity = 1;
  std::uint32_t tiles_parity = 1;
  for_stretches<kBlocks>(a, [&](const Stretch& stretch) {
    if (warp == 0 && lane == 0) {
      const unsigned char* from =
          a.packed + (static_cast<std::int64_t>(stretch.head) * kBlocks + blockIdx.x % kBlocks) *
                         kTilesOfBlock * Tile::kBytes;
      barrier_wait(&shared.tiles_emptied, tiles_parity);
      shared.stretch = stretch;
      barrier_arrive_expect(&shared.tiles_filled, kTilesOfBlock * Tile::kBytes);
      for (int tile = 0; tile < kTilesOfBlock; ++tile)
        copy_bytes(shared.tiles[tile], from + tile * Tile::kBytes, Tile::kBytes,
                   &shared.tiles_filled, l2_keep());
    }
    tiles_parity ^= 1;
    __syncwarp();
    const Chunk* chunks = a.chunks + static_cast<std::int64_t>(stretch.head) * a.most_chunks;
    const int* order = a.order + stretch.head * a.order_stride;
    const __nv_bfloat16* q = a.q + stretch.head * a.head_stride + piece * 8;
    // A chunk with less than 64 queries repeats its last one.
    const auto token_of_lane = [&](int chunk) {
      const Chunk own = chunks[min(chunk, stretch.last - 1)];
      return order[own.begin + min(32 * part + lane, own.count - 1)];
    };
    int next = token_of_lane(stretch.first + group);
    for (int chunk = stretch.first + group; chunk < stretch.last; chunk += kChunksAtOnce) {
      const int token = next;
      next = token_of_lane(chunk + kChunksAtOnce);
      barrier_wait(&shared.rows_emptied[group], parity);
      parity ^= 1;
#pragma unroll 2
      for (int done = 0; done < 32; done += kAtOnce) {
        const std::int64_t from = __shfl_sync(~0u, token, done + row);
        const int place = (piece % 8 ^ (done + row) % 8) * 16;
        copy_16_bytes(to + done * 128 + place, q + from * a.row_stride, true, policy);
      }
      asm volatile("cp.async.wait_all;" ::: "memory");
      fence_async_proxy();
      barrier_arrive(&shared.rows_filled[group]);
    }
  });
  if (warp == 0 && lane == 0) {
    barrier_wait(&shared.tiles_emptied, tiles_parity);
    shared.stretch = {0, 0, 0};
    barrier_arrive(&shared.tiles_filled);
  }
}

template <int kDim, int kTile, int kBlocks>
__device__ void score_chunks(const ScoreArguments& a, ScoreShared<kDim, kTile>& shared,
                             const ScoreGroup& group, int warp) {
  constexpr int kParts = kBlocks * kTilesOfBlock;
  constexpr int kPartsOfLane = (kParts + 3) / 4;
  constexpr int kWordsOfTurn = kParts * kChunk;
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroupThreads;
  const int lane = thread % 32;
  const int row = warp * 16 + lane / 4;
  const int quarter = lane % 4;
  const int part = static_cast<int>(blockIdx.x) % kBlocks * kTilesOfBlock + group.tile;
  const std::uint64_t rows = wgmma_operand(shared.rows[group.chunk], 1024, 0);
  const std::uint64_t tile = wgmma_operand(shared.tiles[group.tile], 1024, 0);
  float logits[kTile / 2];
  std::uint32_t rows_parity = 0;
  std::uint32_t tiles_parity = 0;
  const auto multiply = [&] {
    barrier_wait(&shared.rows_filled[group.chunk], rows_parity);
    rows_parity ^= 1;
    pin_registers(logits);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k)
      wgmma_bf16(logits, rows + (k / 4 * kChunk * 128 + k % 4 * 32) / 16,
                 tile + (k / 4 * kTile * 128 + k % 4 * 32) / 16, k > 0);
    wgmma_commit();
    wgmma_wait<0>();
    pin_registers(logits);
    if (lane == 0) barrier_arrive(&shared.rows_emptied[group.chunk]);
  };

  WarpTile<kTile>& room = shared.masses[group.number][warp];
  // Of the words that the warpgroup sends as number `turn` the first of the lane's rows.
  Told* told = a.told + row +
               (static_cast<std::int64_t>(blockIdx.x / kBlocks * kChunksAtOnce) + group.chunk) *
                   kToldTurns * kWordsOfTurn;
  asm volatile("" : "+l"(told));  // or each use would compute it again
  const auto words_of = [&](unsigned turn) { return told + turn % kToldTurns * kWordsOfTurn; };
  const auto time_of = [](unsigned turn) { return (turn / kToldTurns + 1) % kToldTimes; };
  Told heard[kPartsOfLane][2];  // of tiles `quarter`, `quarter` + 4 ..; of both rows
  const auto listen_to_all = [&](unsigned turn) {
    const Told* from = words_of(turn) + quarter * kChunk;
    if (quarter >= kParts) return;
#pragma unroll
    for (int i = 0; i < kPartsOfLane; ++i)
#pragma unroll
      for (int r = 0; r < 2; ++r) heard[i][r] = listen(from + 4 * i * kChunk + 8 * r);
  };
  const auto all_is_told = [&](unsigned turn) {
    bool all = true;
#pragma unroll
    for (int i = 0; i < kPartsOfLane; ++i)
#pragma unroll
      for (int r = 0; r < 2; ++r) all = all && is_told_at(heard[i][r], time_of(turn));
    return __all_sync(~0u, all || quarter >= kParts);
  };
  const auto send = [&](unsigned turn, const float2& sums, const float(&largest)[2]) {
    if (quarter != 0) return;
    Told* const to = words_of(turn) + part * kChunk;
    tell(to, largest[0], sums.x, time_of(turn));
    tell(to + 8, largest[1], sums.y, time_of(turn));
  };
  const auto finish = [&](unsigned turn, int head, int chunk, const float(&largest)[2]) {
    const int count = a.chunks[static_cast<std::int64_t>(head) * a.most_chunks + chunk].count;
    while (!all_is_told(turn)) listen_to_all(turn);
    float factors[2];  // of rows
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float2 of_parts[kPartsOfLane];
      float most = -1e30F;
#pragma unroll
      for (int i = 0; i < kPartsOfLane; ++i) {
        of_parts[i] = {-1e30F, 0};
        if (quarter < kParts) of_parts[i] = what_is_told(heard[i][r]);
        most = fmaxf(most, of_parts[i].x);
      }
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        most = fmaxf(most, __shfl_xor_sync(~0u, most, distance));
      float mass = 0;
#pragma unroll
      for (int i = 0; i < kPartsOfLane; ++i)
        mass += of_parts[i].y * exp2_approximate(of_parts[i].x - most);
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        mass += __shfl_xor_sync(~0u, mass, distance);
      const float whole = most + __log2f(mass);
      factors[r] = row + 8 * r < count ? exp2_approximate(largest[r] - whole) : 0;
    }
    WarpSums<kTile>(&of_warps)[4] = shared.of_warps[turn % 2][group.number];
    add_rows(room, factors, of_warps[warp], lane);
    named_barrier_wait(1 + group.number, kWarpgroupThreads);
    const int column = part * kTile + thread;
    if (thread < kTile && column < a.columns) {
      float sum = 0;
#pragma unroll
      for (int w = 0; w < 4; ++w) sum += of_warps[w].of(thread);
      a.sums[(static_cast<std::int64_t>(head - a.first_head) * a.most_chunks + chunk) *
                 a.sum_pitch +
             column] = sum;
    }
  };

  unsigned turn = 0;
  for (;;) {
    barrier_wait(&shared.tiles_filled, tiles_parity);
    tiles_parity ^= 1;
    const Stretch stretch = shared.stretch;
    if (stretch.first == stretch.last) return;
    if (group.chunk == 0)
      shared.sizes[group.tile].fill(
          reinterpret_cast<const float*>(shared.tiles[group.tile] +
                                         CentroidTile<kDim, kTile>::kMatrixBytes),
          thread, kWarpgroupThreads);
    named_barrier_wait(1 + kScoreGroups, kScoreGroups * kWarpgroupThreads);
    const int first = stretch.first + group.chunk;
    int chunk = first;
    float largest[2] = {0, 0};
    for (; chunk < stretch.last; chunk += kChunksAtOnce, ++turn) {
      multiply();
      const float before[2] = {largest[0], largest[1]};
      TileMasses<kTile> masses;
      masses.take(logits, a.scale);
      if (chunk > first) listen_to_all(turn - 1);  // it comes while the masses are added up
      const float2 sums = add_columns(masses, shared.sizes[group.tile], lane);
      for (int r = 0; r < 2; ++r) largest[r] = masses.largest[r];
      send(turn, sums, largest);
      if (chunk > first) finish(turn - 1, stretch.head, chunk - kChunksAtOnce, before);
      __syncwarp();
      store_masses(masses, room, lane);
      __syncwarp();
    }
    if (lane == 0) barrier_arrive(&shared.tiles_emptied);
    if (chunk == first) continue;
    listen_to_all(turn - 1);
    finish(turn - 1, stretch.head, chunk - kChunksAtOnce, largest);
  }
}

/// kBlocks: of a team.
template <int kDim, int kTile, int kBlocks>
__global__ void __launch_bounds__(kScoreThreads, 1)
    score_kernel(const __grid_constant__ ScoreArguments a) {
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<ScoreShared<kDim, kTile>*>(memory);
  if (threadIdx.x == 0) {
    barrier_init(&shared.tiles_filled, 1);
    barrier_init(&shared.tiles_emptied, 4 * kScoreGroups);
    for (int i = 0; i < kChunksAtOnce; ++i) {
      barrier_init(&shared.rows_filled[i], 32 * kGatherWarps);
      barrier_init(&shared.rows_emptied[i], 4 * kTilesOfBlock);
    }
    barrier_init_fence();
  }
  __syncthreads();
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0);  // the same in a warp
  if (warp < 4 * kScoreGroups) {
    take_registers<kScoreRegisters>();
    const int number = warp / 4;
    score_chunks<kDim, kTile, kBlocks>(
        a, shared, {number / kTilesOfBlock, number % kTilesOfBlock, number}, warp % 4);
  } else {
    give_up_registers<kGatherRegisters>();
    bring<kDim, kTile, kBlocks>(a, shared, warp % 4);
  }
}

}  // namespace sparsevid::ops::cuda
