// Dense attention of one block, or of a cluster of blocks that share their keys.
#pragma once

#include <cmath>
#include <limits>

#include "ops/cuda/attention_hopper/attend.h"
#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/common/tma.h"

namespace sparsevid::ops::cuda {

struct DenseArguments {
  CUtensorMap q;  // boxes of 64 rows, all columns
  CUtensorMap k;  // boxes of a tile, or of a block's share of it (dense_share)
  CUtensorMap v;
  __nv_bfloat16* out;
  std::int64_t out_head_stride;
  std::int64_t out_row_stride;
  int q_len;
  int k_len;
  int groups_per_head;  // a group: the query tiles of one cluster
  int groups;
  float scale_log2;
};

/// What one of `kCluster` blocks loads of a tile of keys for all of them: columns where there are
/// enough halves, otherwise rows.
template <class Tile, int kCluster>
struct DenseShare {
  static constexpr bool kOfColumns = Tile::kHalves % kCluster == 0;
  static constexpr int kHalves = kOfColumns ? Tile::kHalves / kCluster : Tile::kHalves;
  static constexpr int kRows = kOfColumns ? Tile::kKeys : Tile::kKeys / kCluster;
  static_assert(kRows % 8 == 0);
};

template <class Tile, int kCluster>
__device__ void load_share(unsigned char* tile, const CUtensorMap& map, Barrier* full, int row,
                           int head, std::uint32_t rank, std::uint64_t policy) {
  using Share = DenseShare<Tile, kCluster>;
  static_assert(Tile::kRowsFirst);
  if constexpr (kCluster == 1) {
    copy_box(tile, map, full, 0, row, 0, head, policy);
  } else {
    constexpr std::uint16_t kAll = (1 << kCluster) - 1;
    const int half = Share::kOfColumns ? static_cast<int>(rank) * Share::kHalves : 0;
    const int rows = Share::kOfColumns ? 0 : static_cast<int>(rank) * Share::kRows;
    copy_box_to_blocks(tile + half * Tile::kNextColumns + rows * 128, map, full, 0, row + rows,
                       half, head, kAll, policy);
  }
}

template <class Tile, int kCluster>
__device__ void load_dense(const DenseArguments& a, AttentionShared<Tile>& shared, int group,
                           int group_step, std::uint32_t rank) {
  const int tiles = (a.k_len + Tile::kKeys - 1) / Tile::kKeys;
  const std::uint64_t keep = l2_keep();
  const std::uint64_t give_up = l2_give_up();
  PipelineTurn<1> queries;
  PipelineTurn<Tile::kStages> turn;
  for (; group < a.groups; group += group_step) {
    const int head = group / a.groups_per_head;
    const int row = (group % a.groups_per_head * kCluster + static_cast<int>(rank)) * Tile::kRows;
#pragma unroll 1
    for (int tile = tiles - 1; tile >= 0; --tile) {
      barrier_wait(&shared.k_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.k_full[turn.stage], Tile::kTileBytes);
      load_share<Tile, kCluster>(shared.k[turn.stage], a.k, &shared.k_full[turn.stage],
                                 tile * Tile::kKeys, head, rank, keep);
      if (tile == tiles - 1) {
        barrier_wait(&shared.q_empty, queries.parity ^ 1);
        barrier_arrive_expect(&shared.q_full, Tile::kWarpgroups * Tile::kWarpgroupQueryBytes);
        for (int w = 0; w < Tile::kWarpgroups; ++w)
          copy_box(shared.q[w], a.q, &shared.q_full, 0, row + 64 * w, 0, head, give_up);
        queries.advance();
      }
      barrier_wait(&shared.v_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.v_full[turn.stage], Tile::kTileBytes);
      load_share<Tile, kCluster>(shared.v[turn.stage], a.v, &shared.v_full[turn.stage],
                                 tile * Tile::kKeys, head, rank, keep);
      turn.advance();
    }
  }
}

/// The tiles of all keys, the last and perhaps partial one first.
template <class Tile, int kCluster>
class DenseKeys : public TileStream<AttentionShared<Tile>, kCluster> {
  using Stream = TileStream<AttentionShared<Tile>, kCluster>;

 public:
  __device__ DenseKeys(AttentionShared<Tile>& shared, int k_len)
      : Stream(shared),
        tiles_((k_len + Tile::kKeys - 1) / Tile::kKeys),
        partial_(k_len % Tile::kKeys) {}

  __device__ void restart() { Stream::restart(tiles_); }
  __device__ void apply_first(float (&s)[Tile::kKeys / 2]) {
    if (partial_ == 0) return;
    const int column = 2 * (threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < Tile::kKeys / 2; ++i)
      if (i / 4 * 8 + column + i % 2 >= partial_) s[i] = -INFINITY;
  }
  __device__ void apply(float (&)[Tile::kKeys / 2]) {}

 private:
  int tiles_;
  int partial_;
};

template <class Tile, int kCluster>
__device__ void compute_dense(const DenseArguments& a, AttentionShared<Tile>& shared, int group,
                              int group_step, std::uint32_t rank) {
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupThreads - 1;
  const int lane = threadIdx.x % 32;
  const int row_in_tile = 64 * warpgroup + threadIdx.x % 128 / 32 * 16 + lane / 4;
  const IssueTurn<Tile::kWarpgroups> issue(warpgroup);
  DenseKeys<Tile, kCluster> keys(shared, a.k_len);
  PipelineTurn<1> queries;
  PipelineTurn<Tile::kStages> turn;
  for (; group < a.groups; group += group_step) {
    float o[Tile::kHeadDim / 2];
    OnlineSoftmax softmax(a.scale_log2);
    barrier_wait(&shared.q_full, queries.parity);
    keys.restart();
    attend<Tile>(shared, warpgroup, keys, turn, issue, softmax, o, [&] {
      if (lane == 0) barrier_arrive(&shared.q_empty);
    });
    queries.advance();

    const int head = group / a.groups_per_head;
    const int row =
        (group % a.groups_per_head * kCluster + static_cast<int>(rank)) * Tile::kRows + row_in_tile;
    __nv_bfloat16* const out = a.out + head * a.out_head_stride + row * a.out_row_stride;
    __nv_bfloat16* const rows[2] = {row < a.q_len ? out : nullptr,
                                    row + 8 < a.q_len ? out + 8 * a.out_row_stride : nullptr};
    store_rows(
        o, [&](int h) { return softmax.normaliser(h); }, rows);
  }
}

template <class Tile, int kCluster>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    dense_attention(const __grid_constant__ DenseArguments a) {
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<AttentionShared<Tile>*>(memory);
  const std::uint32_t rank = kCluster == 1 ? 0 : cluster_rank();
  if (threadIdx.x == 0) {
    constexpr int kWarps = 4 * Tile::kWarpgroups;
    barrier_init(&shared.q_full, 1);
    barrier_init(&shared.q_empty, kWarps);
    init_tile_barriers(shared, 1, 1, kWarps * kCluster);
    barrier_init_fence();
  }
  if constexpr (kCluster == 1)
    __syncthreads();
  else
    cluster_sync();

  const int group = blockIdx.x / kCluster;
  const int group_step = gridDim.x / kCluster;
  if (threadIdx.x < kWarpgroupThreads) {
    give_up_registers<Tile::kLoadRegisters>();
    if (threadIdx.x == 0) load_dense<Tile, kCluster>(a, shared, group, group_step, rank);
    __syncwarp();
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_dense<Tile, kCluster>(a, shared, group, group_step, rank);
  }
  // Others may still copy into this block, or arrive at its barriers.
  if constexpr (kCluster > 1) cluster_sync();
}

}  // namespace sparsevid::ops::cuda
