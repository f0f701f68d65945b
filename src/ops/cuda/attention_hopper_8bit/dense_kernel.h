// Dense attention in 8 bits of one block, or of a cluster of blocks that share their keys.
#pragma once

#include "ops/cuda/attention_hopper/store_rows.h"
#include "ops/cuda/attention_hopper/tile_stream.h"
#include "ops/cuda/attention_hopper_8bit/attend.h"
#include "ops/cuda/common/tma.h"

namespace sparsevid::ops::cuda {

struct Dense8Arguments {
  const unsigned char* q;  // images (tile.h), head by head
  const unsigned char* k;
  const unsigned char* v;
  const float* q_scale;  // [heads, q_rows]
  const float* v_scale;  // [heads, head_dim]
  const float* v_mean;   // [heads, head_dim]
  const float* k_scale;  // [heads, k_tiles]
  __nv_bfloat16* out;
  std::int64_t out_head_stride;
  std::int64_t out_row_stride;
  int q_len;
  int q_rows;  // of a head's image
  int k_tiles;
  int groups_per_head;  // a group: the query tiles of one cluster
  int groups;
  float scale_log2;  // of products of int8
};

/// Each of `kCluster` blocks copies its part of the bytes to all of them.
template <int kBytes, int kCluster>
__device__ void load_part(unsigned char* to, const unsigned char* from, Barrier* full,
                          std::uint32_t rank, std::uint64_t policy) {
  if constexpr (kCluster == 1) {
    copy_bytes(to, from, kBytes, full, policy);
  } else {
    constexpr int kPart = kBytes / kCluster;
    static_assert(kPart % 16 == 0);
    copy_bytes_to_blocks(to + rank * kPart, from + rank * kPart, kPart, full, (1 << kCluster) - 1,
                         policy);
  }
}

template <class Tile, int kCluster>
__device__ void load_dense_8bit(const Dense8Arguments& a, Shared8<Tile>& shared, int group,
                                int group_step, std::uint32_t rank) {
  const std::uint64_t keep = l2_keep();
  PipelineTurn<Tile::kStages> turn;
  for (; group < a.groups; group += group_step) {
    int tile = group / a.groups_per_head * a.k_tiles;  // of all heads
#pragma unroll 1
    for (const int end = tile + a.k_tiles; tile < end; ++tile) {
      barrier_wait(&shared.k_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.k_full[turn.stage], Tile::kKeyBytes);
      load_part<Tile::kKeyBytes, kCluster>(shared.k[turn.stage],
                                           a.k + static_cast<std::int64_t>(tile) * Tile::kKeyBytes,
                                           &shared.k_full[turn.stage], rank, keep);
      barrier_wait(&shared.v_empty[turn.stage], turn.parity ^ 1);
      barrier_arrive_expect(&shared.v_full[turn.stage], Tile::kValueBytes);
      load_part<Tile::kValueBytes, kCluster>(
          shared.v[turn.stage], a.v + static_cast<std::int64_t>(tile) * Tile::kValueBytes,
          &shared.v_full[turn.stage], rank, keep);
      turn.advance();
    }
  }
}

/// All tiles in order. Their scales are read a tile ahead, from global memory: beside the tile, a
/// read would have to be ordered before the copy of the next one.
template <class Tile, int kCluster>
class Dense8Keys : public TileStream<Shared8<Tile>, kCluster> {
  using Stream = TileStream<Shared8<Tile>, kCluster>;

 public:
  using Stream::Stream;

  __device__ void restart(int tiles, const float* scales) {
    Stream::restart(tiles);
    scales_ = scales;
    next_scale_ = __ldg(scales);
  }
  __device__ void wait_k(int stage, std::uint32_t parity) {
    Stream::wait_k(stage, parity);
    scale_ = next_scale_;
    if (!this->last()) next_scale_ = __ldg(++scales_);
  }
  __device__ bool biased() const { return false; }
  __device__ const float* bias() const { return nullptr; }
  __device__ float scale() const { return scale_; }

 private:
  const float* scales_ = nullptr;
  float scale_ = 0;
  float next_scale_ = 0;
};

template <class Tile, int kCluster, int kPolynomialsOf16, int kKeepEvery>
__device__ void compute_dense_8bit(const Dense8Arguments& a, Shared8<Tile>& shared, int group,
                                   int group_step, std::uint32_t rank) {
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupThreads - 1;
  const int lane = threadIdx.x % 32;
  const int row_in_tile = 64 * warpgroup + threadIdx.x % 128 / 32 * 16 + lane / 4;
  Dense8Keys<Tile, kCluster> keys(shared);
  PipelineTurn<Tile::kStages> turn;
  for (; group < a.groups; group += group_step) {
    const std::int64_t head = group / a.groups_per_head;
    const int row =
        (group % a.groups_per_head * kCluster + static_cast<int>(rank)) * Tile::kRows + row_in_tile;
    float o[Tile::kSums];
    const float* q_scale = a.q_scale + head * a.q_rows + row;
    Softmax8<kPolynomialsOf16> softmax(q_scale[0] * a.scale_log2, q_scale[8] * a.scale_log2);
    keys.restart(a.k_tiles, a.k_scale + head * a.k_tiles);
    const unsigned char* const q_row = a.q + (head * a.q_rows + row) * Tile::kHeadDim;
    const QueryRegisters<Tile::kHeadDim> q(q_row, q_row + 8 * Tile::kHeadDim);
    attend_8bit<Tile, kPolynomialsOf16, kKeepEvery>(shared, q, warpgroup, keys, turn, softmax, o);
    float result[Tile::kHeadDim / 2];
    finish_output<Tile>(o, a.v_scale + head * Tile::kHeadDim, a.v_mean + head * Tile::kHeadDim,
                        result);
    __nv_bfloat16* const out = a.out + head * a.out_head_stride + row * a.out_row_stride;
    __nv_bfloat16* const rows[2] = {row < a.q_len ? out : nullptr,
                                    row + 8 < a.q_len ? out + 8 * a.out_row_stride : nullptr};
    store_rows(
        result, [](int) { return 1.0F; }, rows);
  }
}

template <class Tile, int kCluster, int kPolynomialsOf16, int kKeepEvery>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    dense_attention_8bit(const __grid_constant__ Dense8Arguments a) {
  extern __shared__ __align__(128) unsigned char memory[];
  auto& shared = *reinterpret_cast<Shared8<Tile>*>(memory);
  const std::uint32_t rank = kCluster == 1 ? 0 : cluster_rank();
  if (threadIdx.x == 0) {
    init_tile_barriers(shared, 1, 1, 4 * Tile::kWarpgroups * kCluster);
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
    if (threadIdx.x == 0) load_dense_8bit<Tile, kCluster>(a, shared, group, group_step, rank);
    __syncwarp();
  } else {
    take_registers<Tile::kComputeRegisters>();
    compute_dense_8bit<Tile, kCluster, kPolynomialsOf16, kKeepEvery>(a, shared, group, group_step,
                                                                     rank);
  }
  // Others may still copy into this block, or arrive at its barriers.
  if constexpr (kCluster > 1) cluster_sync();
}

}  // namespace sparsevid::ops::cuda
