// Keys of a head in a few tiles, which come again, from the L2 cache, for every 128 queries.
//
// The problem: 75,600 queries a head, 512 keys: 1.55 GB read and written, .79 TFLOP.
// Plan: the main loop of attend.h, but the next queries come while these are in work, since a tile
//   of queries is done after a few tiles of keys; and every key can have a bias.
// Shared memory: two rounds of queries, two tiles each of keys and values: 192 KiB.
// Bound: tensor cores, and how well the first and last products of a tile of queries overlap with
//   those of the other warpgroup: 1.26 ms at 40 x 75,600 x 128 and 512 keys on an H200, 631 TFLOP/s
//   where long keys reach 700; 256 keys .74 ms, 533. One tile of queries at a time: 1.41 and .84.
// Tried: two blocks that share their keys: no faster. Logits of the next queries issued beside the
//   last output of these: 1.57 ms.
#pragma once

#include "ops/cuda/attention_hopper/attend.h"
#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/common/tma.h"
#include "ops/cuda/few_keys_hopper/problem.h"

namespace sparsevid::ops::cuda::few_keys {

using SeveralTiles = AttentionTile<kHeadDim, 128, 2, AtomOrder::rows_first, 2, 40>;

struct SeveralTilesShared {
  using Tile = SeveralTiles;
  static constexpr int kRounds = 2;
  unsigned char q[kRounds][Tile::kWarpgroups][Tile::kWarpgroupQueryBytes];
  unsigned char k[Tile::kStages][Tile::kTileBytes];
  unsigned char v[Tile::kStages][Tile::kTileBytes];
  KeyBiases<kMostKeys / Tile::kKeys, Tile::kKeys> biases;
  Barrier q_full[kRounds];
  Barrier q_empty[kRounds];
  Barrier k_full[Tile::kStages];
  Barrier k_empty[Tile::kStages];
  Barrier v_full[Tile::kStages];
  Barrier v_empty[Tile::kStages];
};

/// What attend() reads, with the queries of one round.
struct RoundOperands {
  const unsigned char (*q)[SeveralTiles::kWarpgroupQueryBytes];
  const unsigned char (*k)[SeveralTiles::kTileBytes];
  const unsigned char (*v)[SeveralTiles::kTileBytes];
};

struct Groups {
  int per_head;  // of kWarpgroups tiles of queries
  int count;
};

/// All tiles of keys, last first.
class KeyTiles : public TileStream<SeveralTilesShared> {
 public:
  using TileStream::TileStream;
  __device__ void apply_first(float (&s)[SeveralTiles::kKeys / 2]) { apply(s); }
  __device__ void apply(float (&s)[SeveralTiles::kKeys / 2]) { shared_.biases.add(left_, s); }
};

__device__ inline void load_groups(const Problem& p, const Groups& groups, int tiles,
                                   SeveralTilesShared& shared) {
  using Tile = SeveralTiles;
  const std::uint64_t keep = l2_keep();
  const std::uint64_t give_up = l2_give_up();
  PipelineTurn<SeveralTilesShared::kRounds> round;
  PipelineTurn<Tile::kStages> turn;
  const auto load_queries = [&](int group) {
    if (group >= groups.count) return;
    const int row = group % groups.per_head * Tile::kRows;
    barrier_wait(&shared.q_empty[round.stage], round.parity ^ 1);
    barrier_arrive_expect(&shared.q_full[round.stage],
                          Tile::kWarpgroups * Tile::kWarpgroupQueryBytes);
    for (int w = 0; w < Tile::kWarpgroups; ++w)
      copy_box(shared.q[round.stage][w], p.q, &shared.q_full[round.stage], 0, row + kRows * w, 0,
               group / groups.per_head, give_up);
    round.advance();
  };
  const auto step = static_cast<int>(gridDim.x);
  load_queries(static_cast<int>(blockIdx.x));
  for (int group = static_cast<int>(blockIdx.x); group < groups.count; group += step) {
    const int head = group / groups.per_head;
#pragma unroll 1
    for (int tile = tiles - 1; tile >= 0; --tile) {
      const int row = tile * Tile::kKeys;
      barrier_wait(&shared.k_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.k_full[turn.stage], Tile::kTileBytes);
      copy_box(shared.k[turn.stage], p.k, &shared.k_full[turn.stage], 0, row, 0, head, keep);
      barrier_wait(&shared.v_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.v_full[turn.stage], Tile::kTileBytes);
      copy_box(shared.v[turn.stage], p.v, &shared.v_full[turn.stage], 0, row, 0, head, keep);
      turn.advance();
      if (tile == tiles - 1) load_queries(group + step);
    }
  }
}

__device__ inline void compute_groups(const Problem& p, const Groups& groups, int tiles,
                                      SeveralTilesShared& shared) {
  using Tile = SeveralTiles;
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupThreads - 1;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row_in_group =
      kRows * warpgroup + static_cast<int>(threadIdx.x) % kWarpgroupThreads / 32 * 16 + lane / 4;
  const float counts = shared.biases.some_key_counts != 0 ? 1 : 0;
  const IssueTurn<Tile::kWarpgroups> issue(warpgroup);
  KeyTiles keys(shared);
  PipelineTurn<SeveralTilesShared::kRounds> round;
  PipelineTurn<Tile::kStages> turn;
  for (int group = static_cast<int>(blockIdx.x); group < groups.count;
       group += static_cast<int>(gridDim.x)) {
    float o[kHeadDim / 2];
    OnlineSoftmax softmax(p.scale_log2);
    barrier_wait(&shared.q_full[round.stage], round.parity);
    keys.restart(tiles);
    const RoundOperands operands = {shared.q[round.stage], shared.k, shared.v};
    attend<Tile>(operands, warpgroup, keys, turn, issue, softmax, o, [&] {
      if (lane == 0) barrier_arrive(&shared.q_empty[round.stage]);
    });
    round.advance();

    const int row = group % groups.per_head * Tile::kRows + row_in_group;
    __nv_bfloat16* const out =
        p.out_data + group / groups.per_head * p.out_head_stride + row * p.out_row_stride;
    __nv_bfloat16* const rows[2] = {row < p.q_len ? out : nullptr,
                                    row + 8 < p.q_len ? out + 8 * p.out_row_stride : nullptr};
    store_rows(
        o, [&](int h) { return softmax.normaliser(h) * counts; }, rows);
  }
}

__global__ void __launch_bounds__(SeveralTiles::kThreads, 1)
    several_tiles_kernel(const __grid_constant__ Problem p, const Groups groups) {
  using Tile = SeveralTiles;
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<SeveralTilesShared*>(memory);
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * Tile::kWarpgroups;
    for (int i = 0; i < SeveralTilesShared::kRounds; ++i) {
      barrier_init(&shared.q_full[i], 1);
      barrier_init(&shared.q_empty[i], kWarps);
    }
    init_tile_barriers(shared, 1, 1, kWarps);
    barrier_init_fence();
  }
  const int tiles = (p.k_len + Tile::kKeys - 1) / Tile::kKeys;
  shared.biases.prepare(p, tiles);
  __syncthreads();
  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<Tile::kLoadRegisters>();
    if (threadIdx.x == 0) load_groups(p, groups, tiles, shared);
    __syncwarp();
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_groups(p, groups, tiles, shared);
  }
}

}  // namespace sparsevid::ops::cuda::few_keys
