// The kernel of cluster_scores_hopper.cu: for each chunk of queries the masses of all means.
//
// The problem: 40 heads x 75,600 queries x 1,000 means x 128: 0.77 TFLOP, 3.0 billion exponentials,
//   and a softmax over all means before anything can be added up over the queries.
// Plan: the means of a head are dealt out to a cluster of up to eight blocks, two tiles of up to
//   128 each, which stay in shared memory. All blocks walk through the same chunks of 64 queries,
//   two at a time. Each of four warpgroups of a block takes one tile and every other chunk: it
//   multiplies them and turns the logits into exponentials, which go to shared memory as bf16. The
//   largest logit and the mass of each query in each tile are sent to all blocks of the cluster;
//   what comes back makes factors by which the exponentials are added up over the queries
//   (chunk_masses.h), after the products of the next chunk. So there is one product and one
//   exponential for each query and mean. Two warps for each of the two chunks gather the queries
//   of the next. Every scheduler has four warps that compute, each at another place.
// Shared memory: 66 KiB of means, 32 KiB of queries, 68 KiB of exponentials, 16 KiB of sums, 36 KiB
//   of what blocks exchange.
// Registers: 112, of these 64 logits, which turn into 32 of exponentials.
// Bound: exponentials, 16 a clock, as long as the product takes: 1.0 ms. The traffic of shared
//   memory comes before: 3,300 of its cycles for two chunks, 1.4 ms.
// Order of reads and writes that threads do not wait for one by one (racecheck does not follow
//   barriers that count bytes of other blocks, and reports both):
//   exchanged: a warp sends chunk n after it has finished chunk n - 1, and that it may finish only
//     when all warps of the chunk's parity, in all blocks, have sent n - 1, which each does after
//     reading n - 2 (its sums depend on what it read, and stand in of_warps before it sends). So
//     what was exchanged for n - 2 is read before anybody writes n to the same place, here or from
//     another block, and the copies that sent it are complete. For the same reason no barrier gets
//     a whole phase ahead of those who wait for its last one.
//   of_warps: a warpgroup's threads store what they read of it for chunk n - 1 to global memory
//     before their warp sends chunk n; a warp writes it again when it finishes n, which waits for
//     all four to have sent n.
// Tried: two warpgroups with both tiles each, queries in registers, and the product of one tile
//   during the exponentials of the other, 3.2 ms: two warps on each scheduler, 30 % of its issue
//   slots used. Two passes over the means while the queries stay in registers, the first for the
//   masses: two products, twice the exponentials, 3.5 ms.
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
constexpr int kMostBlocks = 8;  // of a cluster
constexpr int kMostParts = kMostBlocks * kTilesOfBlock;

struct ScoreArguments {
  const __nv_bfloat16* q;
  std::int64_t head_stride, row_stride;
  const int* order;
  std::int64_t order_stride;
  const Chunk* chunks;  // [heads, most_chunks]
  const int* firsts;    // [heads, q_clusters + 1]
  int first_head, q_clusters, most_chunks;
  int columns;          // of sums, all of them written
  int blocks;           // of a cluster
  int chunks_of_block;  // that a cluster walks through
  const unsigned char* packed;
  float scale;  // of logits in base 2
  float* sums;  // [heads of this launch, most_chunks, sum_pitch]
  int sum_pitch;
};

template <int kDim, int kTile>
struct ScoreShared {
  using Tile = CentroidTile<kDim, kTile>;
  alignas(1024) unsigned char tiles[kTilesOfBlock][Tile::kStageBytes];
  // As the tensor cores want them: swizzled by 128 bytes, 64 columns a slab.
  unsigned char rows[kChunksAtOnce][kChunk * kDim * 2];
  WarpTile<kTile> masses[kScoreGroups][4];
  WarpSums<kTile> of_warps[kScoreGroups][4];
  // Of a tile: largest logit, mass. Eight more, so that neighbouring tiles begin in other banks.
  float2 exchanged[kChunksAtOnce][2][kMostParts][kChunk + 8];
  TileSizes<kTile> sizes[kTilesOfBlock];
  Barrier tiles_filled;
  Barrier rows_filled[kChunksAtOnce];
  Barrier rows_emptied[kChunksAtOnce];
  Barrier exchange_filled[kChunksAtOnce][2];
};

/// Which of the chunks and tiles a warpgroup has.
struct ScoreGroup {
  int chunk, tile;
  int number;  // of the warpgroup
};

/// Brings half of the queries of every other chunk; one warp.
template <int kDim, int kTile>
__device__ void gather_queries(const ScoreArguments& a, ScoreShared<kDim, kTile>& shared, int head,
                               int first, int last, int group, int part) {
  constexpr int kPieces = kDim / 8;      // of 16 bytes
  constexpr int kAtOnce = 32 / kPieces;  // rows
  static_assert(kGatherWarps * 32 == kChunk);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = lane / kPieces;
  const int piece = lane % kPieces;
  const Chunk* chunks = a.chunks + static_cast<std::int64_t>(head) * a.most_chunks;
  const int* order = a.order + head * a.order_stride;
  const __nv_bfloat16* q = a.q + head * a.head_stride + piece * 8;
  const std::uint32_t to =
      shared_address(shared.rows[group]) + piece / 8 * (kChunk * 128) + (32 * part + row) * 128;
  // A chunk with less than 64 queries repeats its last one.
  const auto token_of_lane = [&](int chunk) {
    const Chunk own = chunks[min(chunk, last - 1)];
    return order[own.begin + min(32 * part + lane, own.count - 1)];
  };
  const std::uint64_t policy = l2_give_up();
  std::uint32_t parity = 1;
  int next = token_of_lane(first + group);
  for (int chunk = first + group; chunk < last; chunk += kChunksAtOnce) {
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
}

template <int kDim, int kTile>
__device__ void score_chunks(const ScoreArguments& a, ScoreShared<kDim, kTile>& shared, int head,
                             int first, int last, const ScoreGroup& group, int warp, int rank) {
  constexpr int kBytesOfWarp = 16 * sizeof(float2);  // of what is exchanged
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroupThreads;
  const int lane = thread % 32;
  const int row = warp * 16 + lane / 4;
  const int quarter = lane % 4;
  const int parts = a.blocks * kTilesOfBlock;
  const int part = rank * kTilesOfBlock + group.tile;
  const Chunk* chunks = a.chunks + static_cast<std::int64_t>(head) * a.most_chunks;

  barrier_wait(&shared.tiles_filled, 0);
  if (group.chunk == 0)
    shared.sizes[group.tile].fill(
        reinterpret_cast<const float*>(shared.tiles[group.tile] +
                                       CentroidTile<kDim, kTile>::kMatrixBytes),
        thread, kWarpgroupThreads);
  named_barrier_wait(1 + kScoreGroups, kScoreGroups * kWarpgroupThreads);

  const unsigned char* rows = shared.rows[group.chunk];
  const unsigned char* tile = shared.tiles[group.tile];
  float logits[kTile / 2];
  std::uint32_t rows_parity = 0;
  const auto multiply = [&] {
    barrier_wait(&shared.rows_filled[group.chunk], rows_parity);
    rows_parity ^= 1;
    pin_registers(logits);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k)
      wgmma_bf16(logits, wgmma_operand(rows + k / 4 * kChunk * 128 + k % 4 * 32, 1024, 0),
                 wgmma_operand(tile + k / 4 * kTile * 128 + k % 4 * 32, 1024, 0), k > 0);
    wgmma_commit();
    wgmma_wait<0>();
    pin_registers(logits);
    if (lane == 0) barrier_arrive(&shared.rows_emptied[group.chunk]);
  };

  WarpTile<kTile>& room = shared.masses[group.number][warp];
  // The exchange of a chunk is waited for after the exponentials of the next one.
  PipelineTurn<2> sent;
  PipelineTurn<2> received;
  const auto send = [&](const float2& sums, const float(&largest)[2]) {
    Barrier* const filled = &shared.exchange_filled[group.chunk][sent.stage];
    float2* const own = shared.exchanged[group.chunk][sent.stage][part];
    if (quarter == 0) {
      own[row] = {largest[0], sums.x};
      own[row + 8] = {largest[1], sums.y};
    }
    fence_async_proxy();
    __syncwarp();
    if (lane == 0) barrier_arrive_expect(filled, (a.blocks - 1) * kBytesOfWarp);
    if (lane < a.blocks && lane != rank) copy_to_block(&own[16 * warp], kBytesOfWarp, filled, lane);
    sent.advance();
  };
  const auto finish = [&](int chunk, const float(&largest)[2]) {
    barrier_wait(&shared.exchange_filled[group.chunk][received.stage], received.parity);
    const auto& exchanged = shared.exchanged[group.chunk][received.stage];
    const int count = chunks[chunk].count;
    float factors[2];  // of rows
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float2 of_parts[kMostParts / 4];
      float most = -1e30F;
#pragma unroll
      for (int i = 0; i < kMostParts / 4; ++i) {
        of_parts[i] = {-1e30F, 0};
        if (quarter + 4 * i < parts) of_parts[i] = exchanged[quarter + 4 * i][row + 8 * r];
        most = fmaxf(most, of_parts[i].x);
      }
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        most = fmaxf(most, __shfl_xor_sync(~0u, most, distance));
      float mass = 0;
#pragma unroll
      for (int i = 0; i < kMostParts / 4; ++i)
        mass += of_parts[i].y * exp2_approximate(of_parts[i].x - most);
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2)
        mass += __shfl_xor_sync(~0u, mass, distance);
      const float whole = most + __log2f(mass);
      factors[r] = row + 8 * r < count ? exp2_approximate(largest[r] - whole) : 0;
    }
    // Whoever comes here has got what all four warps sent after they read the last sums.
    WarpSums<kTile>(&of_warps)[4] = shared.of_warps[group.number];
    add_rows(room, factors, of_warps[warp], lane);
    named_barrier_wait(1 + group.number, kWarpgroupThreads);
    const int column = part * kTile + thread;
    if (thread < kTile && column < a.columns) {
      float sum = 0;
#pragma unroll
      for (int w = 0; w < 4; ++w)
        sum += of_warps[w].part(thread, false) + of_warps[w].part(thread, true);
      a.sums[(static_cast<std::int64_t>(head - a.first_head) * a.most_chunks + chunk) *
                 a.sum_pitch +
             column] = sum;
    }
    received.advance();
  };

  int chunk = first + group.chunk;
  if (chunk >= last) return;
  float largest[2];
  for (; chunk < last; chunk += kChunksAtOnce) {
    multiply();
    const float before[2] = {largest[0], largest[1]};
    TileMasses<kTile> masses;
    masses.take(logits, a.scale);
    const float2 sums = add_columns(masses, shared.sizes[group.tile], lane);
    if (chunk >= first + kChunksAtOnce) finish(chunk - kChunksAtOnce, before);
    __syncwarp();
    store_masses(masses, room, lane);
    for (int r = 0; r < 2; ++r) largest[r] = masses.largest[r];
    send(sums, largest);
  }
  __syncwarp();
  finish(chunk - kChunksAtOnce, largest);
}

template <int kDim, int kTile>
__global__ void __launch_bounds__(kScoreThreads, 1)
    score_kernel(const __grid_constant__ ScoreArguments a) {
  const int head = a.first_head + static_cast<int>(blockIdx.y);
  const int first = static_cast<int>(blockIdx.x) / a.blocks * a.chunks_of_block;
  const int of_head = a.firsts[static_cast<std::int64_t>(head) * (a.q_clusters + 1) + a.q_clusters];
  const int last = min(first + a.chunks_of_block, of_head);
  if (first >= last) return;  // the whole cluster
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<ScoreShared<kDim, kTile>*>(memory);
  const int rank = static_cast<int>(cluster_rank());
  if (threadIdx.x == 0) {
    barrier_init(&shared.tiles_filled, 1);
    for (int i = 0; i < kChunksAtOnce; ++i) {
      barrier_init(&shared.rows_filled[i], 32 * kGatherWarps);
      barrier_init(&shared.rows_emptied[i], 4 * kTilesOfBlock);
      for (Barrier& barrier : shared.exchange_filled[i]) barrier_init(&barrier, 4 * kTilesOfBlock);
    }
    barrier_init_fence();
  }
  cluster_sync();
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0);  // the same in a warp
  if (warp < 4 * kScoreGroups) {
    take_registers<kScoreRegisters>();
    const int number = warp / 4;
    score_chunks<kDim, kTile>(a, shared, head, first, last,
                              {number / kTilesOfBlock, number % kTilesOfBlock, number}, warp % 4,
                              rank);
  } else {
    give_up_registers<kGatherRegisters>();
    if (threadIdx.x == 4 * 32 * kScoreGroups) {
      using Tile = CentroidTile<kDim, kTile>;
      const unsigned char* from = a.packed + (static_cast<std::int64_t>(head) * a.blocks + rank) *
                                                 kTilesOfBlock * Tile::kBytes;
      barrier_arrive_expect(&shared.tiles_filled, kTilesOfBlock * Tile::kBytes);
      for (int tile = 0; tile < kTilesOfBlock; ++tile)
        copy_bytes(shared.tiles[tile], from + tile * Tile::kBytes, Tile::kBytes,
                   &shared.tiles_filled, l2_keep());
    }
    __syncwarp();
    gather_queries<kDim, kTile>(a, shared, head, first, last, warp % 4 / kGatherWarps,
                                warp % kGatherWarps);
  }
  // Nobody may send into the memory of a block that has ended.
  cluster_sync();
}

}  // namespace sparsevid::ops::cuda
