// The kernel of cluster_scores_hopper.cu: for each chunk of queries the masses of all means.
//
// The problem: 40 heads x 75,600 queries x 1,000 means x 128: 0.77 TFLOP, 3.0 billion exponentials,
//   and a softmax over all means before anything can be added up over the queries.
// Plan: the means of a head are dealt out to a cluster of up to eight blocks, two tiles of up to
// 128
//   each, which stay in shared memory. All blocks walk through the same chunks of 64 queries. Two
//   warpgroups of a block take every other chunk each: they multiply it by one tile while they turn
//   the logits of the other into exponentials, which go to shared memory as bf16. The largest logit
//   and the mass of each query are sent to all blocks of the cluster; what comes back makes factors
//   by which the exponentials are added up over the queries (chunk_masses.h), while the products of
//   the next chunk are under way. So there is one product and one exponential for each query and
//   mean. Two warps for each of the two gather the queries of the chunk to come.
// Shared memory: 66 KiB of means, 40 KiB of queries, 68 KiB of exponentials, 16 KiB of sums, 16 KiB
//   of what blocks exchange.
// Registers: 64 for the logits of each tile, 32 exponentials, 32 left operands.
// Bound: exponentials, 16 a clock, as long as the product takes: 1.0 ms.
// Tried: two passes over the means while the queries stay in registers, the first for the masses:
//   two products, twice the exponentials, 3.5 ms.
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
#include "ops/cuda/kmeans_hopper/wgmma_rows.h"

namespace sparsevid::ops::cuda {

constexpr int kScoreGroups = 2;  // warpgroups that compute
constexpr int kScoreThreads = (kScoreGroups + 1) * kWarpgroupThreads;
constexpr int kMostParts = 8;  // blocks of a cluster
constexpr int kRowSlots = 1;

struct ScoreArguments {
  const __nv_bfloat16* q;
  std::int64_t head_stride, row_stride;
  const int* order;
  std::int64_t order_stride;
  const Chunk* chunks;  // [heads, most_chunks]
  const int* firsts;    // [heads, q_clusters + 1]
  int first_head, q_clusters, most_chunks, k_clusters;
  int parts;            // blocks of a cluster
  int chunks_of_block;  // that a cluster walks through
  const unsigned char* packed;
  float scale;  // of logits in base 2
  float* sums;  // [heads of this launch, most_chunks, sum_pitch]
  int sum_pitch;
};

template <int kDim, int kTile>
struct ScoreShared {
  using Tile = CentroidTile<kDim, kTile>;
  static constexpr int kRowPitch = kDim * 2 + 64;  // spreads rows over the banks
  alignas(1024) unsigned char tiles[2][Tile::kStageBytes];
  unsigned char rows[kScoreGroups][kRowSlots][kChunk * kRowPitch];
  WarpTile<kTile> masses[kScoreGroups][4][2];
  float of_warps[kScoreGroups][8][2 * kTile];
  float2 exchanged[kScoreGroups][2][kMostParts][kChunk];  // of a part: largest logit, mass
  TileSizes<kTile> sizes[2];
  Barrier tiles_filled;
  Barrier rows_filled[kScoreGroups][kRowSlots];
  Barrier rows_emptied[kScoreGroups][kRowSlots];
  Barrier exchange_filled[kScoreGroups][2];
};

/// Half of the queries of each chunk of warpgroup `group`; one warp.
template <int kDim, int kTile>
__device__ void gather_queries(const ScoreArguments& a, ScoreShared<kDim, kTile>& shared, int head,
                               int first, int last, int group, int part) {
  using Shared = ScoreShared<kDim, kTile>;
  constexpr int kPieces = kDim / 8;      // of 16 bytes
  constexpr int kAtOnce = 32 / kPieces;  // rows
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = lane / kPieces;
  const Chunk* chunks = a.chunks + static_cast<std::int64_t>(head) * a.most_chunks;
  const int* order = a.order + head * a.order_stride;
  const __nv_bfloat16* q = a.q + head * a.head_stride + lane % kPieces * 8;
  // A chunk with less than 64 queries repeats its last one.
  const auto token_of_lane = [&](int chunk) {
    const Chunk own = chunks[min(chunk, last - 1)];
    return order[own.begin + min(32 * part + lane, own.count - 1)];
  };
  const std::uint64_t policy = l2_give_up();
  PipelineTurn<kRowSlots> turn;
  int next = token_of_lane(first + group);
  for (int chunk = first + group; chunk < last; chunk += kScoreGroups) {
    const int token = next;
    next = token_of_lane(chunk + kScoreGroups);
    const std::uint32_t to = shared_address(shared.rows[group][turn.stage]) +
                             (32 * part + row) * Shared::kRowPitch + lane % kPieces * 16;
    barrier_wait(&shared.rows_emptied[group][turn.stage], turn.parity ^ 1);
#pragma unroll
    for (int done = 0; done < 32; done += kAtOnce) {
      const std::int64_t from = __shfl_sync(~0u, token, done + row);
      copy_16_bytes(to + done * Shared::kRowPitch, q + from * a.row_stride, true, policy);
    }
    barrier_arrive_after_copies(&shared.rows_filled[group][turn.stage]);
    turn.advance();
  }
}

template <int kDim, int kTile>
__device__ void score_chunks(const ScoreArguments& a, ScoreShared<kDim, kTile>& shared, int head,
                             int first, int last, int group, int warp, int rank) {
  using Shared = ScoreShared<kDim, kTile>;
  constexpr int kBytesOfWarp = 16 * sizeof(float2);  // of what is exchanged
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroupThreads;
  const int lane = thread % 32;
  const int row = warp * 16 + lane / 4;
  const int quarter = lane % 4;
  const Chunk* chunks = a.chunks + static_cast<std::int64_t>(head) * a.most_chunks;

  barrier_wait(&shared.tiles_filled, 0);
  shared.sizes[group].fill(
      reinterpret_cast<const float*>(shared.tiles[group] + CentroidTile<kDim, kTile>::kMatrixBytes),
      thread, kWarpgroupThreads);
  named_barrier_wait(1 + kScoreGroups, kScoreGroups * kWarpgroupThreads);

  RowPart rows[kDim / 32];
  PipelineTurn<kRowSlots> rows_turn;
  const auto load_rows = [&] {
    barrier_wait(&shared.rows_filled[group][rows_turn.stage], rows_turn.parity);
    const unsigned char* upper =
        shared.rows[group][rows_turn.stage] + row * Shared::kRowPitch + quarter * 16;
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i)
      rows[i] = {*reinterpret_cast<const uint4*>(upper + 64 * i),
                 *reinterpret_cast<const uint4*>(upper + 8 * Shared::kRowPitch + 64 * i)};
    __syncwarp();
    if (lane == 0) barrier_arrive(&shared.rows_emptied[group][rows_turn.stage]);
    rows_turn.advance();
  };
  const auto multiply = [&](int tile, float(&to)[kTile / 2]) {
    pin_registers(to);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      std::uint32_t left[4];
      if (k % 2 == 0) {
        left_operand<0>(rows[k / 2], left);
      } else {
        left_operand<1>(rows[k / 2], left);
      }
      multiply_rows(to, left,
                    wgmma_operand(shared.tiles[tile] + k / 4 * kTile * 128 + k % 4 * 32, 1024, 0),
                    k > 0);
    }
    wgmma_commit();
  };

  auto& rooms = shared.masses[group][warp];
  float largest[2][2];  // of the tiles, of the thread's rows
  // The exchange of a chunk is waited for while the next one is multiplied.
  PipelineTurn<2> sent;
  PipelineTurn<2> received;
  const auto send = [&](const float2(&sums)[2]) {
    Barrier* const filled = &shared.exchange_filled[group][sent.stage];
    float2(&exchanged)[kMostParts][kChunk] = shared.exchanged[group][sent.stage];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float both = fmaxf(largest[0][r], largest[1][r]);
      float mass = 0;
#pragma unroll
      for (int tile = 0; tile < 2; ++tile)
        mass += (r == 0 ? sums[tile].x : sums[tile].y) * power_of_two(largest[tile][r] - both);
      if (quarter == 0) exchanged[rank][row + 8 * r] = {both, mass};
    }
    fence_async_proxy();
    __syncwarp();
    if (lane == 0) barrier_arrive_expect(filled, (a.parts - 1) * kBytesOfWarp);
    if (lane < a.parts && lane != rank)
      copy_to_block(&exchanged[rank][16 * warp], kBytesOfWarp, filled, lane);
    sent.advance();
  };
  const auto finish = [&](int chunk, const float(&of_tiles)[2][2]) {
    barrier_wait(&shared.exchange_filled[group][received.stage], received.parity);
    const float2(&exchanged)[kMostParts][kChunk] = shared.exchanged[group][received.stage];
    const int count = chunks[chunk].count;
    float factors[2][2];  // of a tile, of a row
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float2 of_parts[kMostParts / 4];
      float most = -1e30F;
#pragma unroll
      for (int i = 0; i < kMostParts / 4; ++i) {
        const int part = quarter + 4 * i;
        of_parts[i] = part < a.parts ? exchanged[part][row + 8 * r] : float2{-1e30F, 0};
        most = fmaxf(most, of_parts[i].x);
      }
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        most = fmaxf(most, __shfl_xor_sync(~0u, most, distance));
      float mass = 0;
#pragma unroll
      for (int i = 0; i < kMostParts / 4; ++i)
        mass += of_parts[i].y * power_of_two(of_parts[i].x - most);
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        mass += __shfl_xor_sync(~0u, mass, distance);
      const float whole = most + __log2f(mass);
#pragma unroll
      for (int tile = 0; tile < 2; ++tile)
        factors[tile][r] = row + 8 * r < count ? power_of_two(of_tiles[tile][r] - whole) : 0;
    }
    // Whoever comes here has got what all four warps sent after they read the last sums.
    float(&of_warps)[8][2 * kTile] = shared.of_warps[group];
#pragma unroll
    for (int tile = 0; tile < 2; ++tile)
      add_rows(rooms[tile], factors[tile], of_warps[2 * warp] + tile * kTile, 2 * kTile, lane);
    named_barrier_wait(1 + group, kWarpgroupThreads);
    float* const out =
        a.sums +
        (static_cast<std::int64_t>(head - a.first_head) * a.most_chunks + chunk) * a.sum_pitch;
#pragma unroll
    for (int i = 0; i < (2 * kTile + kWarpgroupThreads - 1) / kWarpgroupThreads; ++i) {
      const int column = i * kWarpgroupThreads + thread;
      if (column >= 2 * kTile || 2 * kTile * rank + column >= a.k_clusters) break;
      float sum = 0;
#pragma unroll
      for (int w = 0; w < 8; ++w) sum += of_warps[w][column];
      out[2 * kTile * rank + column] = sum;
    }
    received.advance();
  };

  float logits[2][kTile / 2];
  int chunk = first + group;
  if (chunk >= last) return;
  load_rows();
  multiply(0, logits[0]);
  wgmma_wait<0>();
  pin_registers(logits[0]);
  for (; chunk < last; chunk += kScoreGroups) {
    float2 sums[2];
    const float before[2][2] = {{largest[0][0], largest[0][1]}, {largest[1][0], largest[1][1]}};
    multiply(1, logits[1]);
    {
      TileMasses<kTile> masses;
      masses.take(logits[0], a.scale);
      sums[0] = add_columns(masses, shared.sizes[0].of_lane(lane));
      if (chunk >= first + kScoreGroups) finish(chunk - kScoreGroups, before);
      __syncwarp();
      store_masses(masses, rooms[0], lane);
      for (int r = 0; r < 2; ++r) largest[0][r] = masses.largest[r];
    }
    wgmma_wait<0>();
    pin_registers(logits[1]);
    // Behind the last chunk the same rows are multiplied once more, for nobody.
    if (chunk + kScoreGroups < last) load_rows();
    multiply(0, logits[0]);
    {
      TileMasses<kTile> masses;
      masses.take(logits[1], a.scale);
      sums[1] = add_columns(masses, shared.sizes[1].of_lane(lane));
      store_masses(masses, rooms[1], lane);
      for (int r = 0; r < 2; ++r) largest[1][r] = masses.largest[r];
    }
    send(sums);
    wgmma_wait<0>();
    pin_registers(logits[0]);
  }
  __syncwarp();
  finish(chunk - kScoreGroups, largest);
}

template <int kDim, int kTile>
__global__ void __launch_bounds__(kScoreThreads, 1)
    score_kernel(const __grid_constant__ ScoreArguments a) {
  const int head = a.first_head + static_cast<int>(blockIdx.y);
  const int first = static_cast<int>(blockIdx.x) / a.parts * a.chunks_of_block;
  const int of_head = a.firsts[static_cast<std::int64_t>(head) * (a.q_clusters + 1) + a.q_clusters];
  const int last = min(first + a.chunks_of_block, of_head);
  if (first >= last) return;  // the whole cluster
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<ScoreShared<kDim, kTile>*>(memory);
  const int rank = static_cast<int>(cluster_rank());
  if (threadIdx.x == 0) {
    barrier_init(&shared.tiles_filled, 1);
    for (int group = 0; group < kScoreGroups; ++group) {
      for (int slot = 0; slot < kRowSlots; ++slot) {
        barrier_init(&shared.rows_filled[group][slot], 64);
        barrier_init(&shared.rows_emptied[group][slot], 4);
      }
      for (Barrier& barrier : shared.exchange_filled[group]) barrier_init(&barrier, 4);
    }
    barrier_init_fence();
  }
  cluster_sync();
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0);  // the same in a warp
  if (warp < 4) {
    give_up_registers<40>();
    if (threadIdx.x == 0) {
      using Tile = CentroidTile<kDim, kTile>;
      const unsigned char* from =
          a.packed + (static_cast<std::int64_t>(head) * a.parts + rank) * 2 * Tile::kBytes;
      barrier_arrive_expect(&shared.tiles_filled, 2 * Tile::kBytes);
      for (int tile = 0; tile < 2; ++tile)
        copy_bytes(shared.tiles[tile], from + tile * Tile::kBytes, Tile::kBytes,
                   &shared.tiles_filled, l2_keep());
    }
    __syncwarp();
    gather_queries<kDim, kTile>(a, shared, head, first, last, warp / 2, warp % 2);
  } else {
    take_registers<232>();
    score_chunks<kDim, kTile>(a, shared, head, first, last, warp / 4 - 1, warp % 4, rank);
  }
  // Nobody may send into the memory of a block that has ended.
  cluster_sync();
}

}  // namespace sparsevid::ops::cuda
