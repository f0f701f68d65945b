// One block's work: its warpgroups, tiles and shared memory.
#pragma once

#include <cuda_bf16.h>

#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda {

/// How the atoms (8 rows of 64 columns, swizzled) of a tile of keys or values lie.
enum class AtomOrder {
  rows_first,  ///< all rows of the first 64 columns, then of the next, as the copy engine's boxes
  columns_first,  ///< the atoms of 8 whole rows together, so that 8 rows are one run of bytes
};

template <int kHeadDim_, int kKeys_, int kWarpgroups_, AtomOrder kOrder_ = AtomOrder::rows_first,
          int kStages_ = 2, int kLoadRegisters_ = kWarpgroups_ == 2 ? 24 : 32,
          int kIdleWarpgroups_ = 0>
struct AttentionTile {
  static constexpr int kHeadDim = kHeadDim_;
  static constexpr int kKeys = kKeys_;              // of a tile
  static constexpr int kWarpgroups = kWarpgroups_;  // that compute, 64 query rows each
  static constexpr AtomOrder kOrder = kOrder_;
  static constexpr int kRows = 64 * kWarpgroups;
  static constexpr int kIdleWarpgroups = kIdleWarpgroups_;  // of a block that can be larger
  static constexpr int kThreads = kWarpgroupThreads * (1 + kWarpgroups + kIdleWarpgroups);
  static constexpr int kStages = kStages_;       // tiles of keys, and of values, in flight
  static constexpr int kHalves = kHeadDim / 64;  // of 64 columns, 128 bytes, a swizzled row
  static constexpr int kTileBytes = kKeys * kHeadDim * 2;
  static constexpr int kWarpgroupQueryBytes = 64 * kHeadDim * 2;
  // The compute warps take what the others give up, and the block has no more than it starts with:
  // 168 registers a thread, or 128. All these numbers are multiples of 8.
  static constexpr int kStartRegisters = kThreads == 3 * kWarpgroupThreads ? 168 : 128;
  static constexpr int kLoadRegisters = kLoadRegisters_;
  static constexpr int kIdleRegisters = 24;
  static constexpr int kComputeRegisters =
      kStartRegisters +
      (kStartRegisters - kLoadRegisters + kIdleWarpgroups * (kStartRegisters - kIdleRegisters)) /
          kWarpgroups / 8 * 8;

  // Distances of atoms of keys and values, in bytes.
  static constexpr bool kRowsFirst = kOrder == AtomOrder::rows_first;
  static constexpr int kNextRows = kRowsFirst ? 1024 : 1024 * kHalves;
  static constexpr int kNextColumns = kRowsFirst ? 128 * kKeys : 1024;
};

/// Begins at a multiple of 1024 bytes, as the swizzle asks for.
template <class Tile>
struct AttentionShared {
  unsigned char q[Tile::kWarpgroups][Tile::kWarpgroupQueryBytes];  // rows first
  unsigned char k[Tile::kStages][Tile::kTileBytes];
  unsigned char v[Tile::kStages][Tile::kTileBytes];
  Barrier q_full;
  Barrier q_empty;
  Barrier k_full[Tile::kStages];
  Barrier k_empty[Tile::kStages];
  Barrier v_full[Tile::kStages];
  Barrier v_empty[Tile::kStages];
};

/// Issues s = q k^T for a warpgroup's 64 rows; s is ready after the group is waited for.
template <class Tile>
__device__ void issue_logits(float (&s)[Tile::kKeys / 2], const unsigned char* q,
                             const unsigned char* k) {
  const std::uint64_t q_operand = wgmma_operand(q, 1024, 16);
  const std::uint64_t k_operand = wgmma_operand(k, Tile::kNextRows, 16);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Tile::kHeadDim / 16; ++step) {
    const int half = step / 4;
    const int column = step % 4 * 32;
    wgmma_bf16(s, q_operand + ((half * 64 * 128 + column) >> 4),
               k_operand + ((half * Tile::kNextColumns + column) >> 4), step != 0);
  }
  wgmma_commit();
}

/// Issues o += p v, or o = p v.
template <class Tile>
__device__ void issue_output(float (&o)[Tile::kHeadDim / 2],
                             const std::uint32_t (&p)[Tile::kKeys / 16][4], const unsigned char* v,
                             bool add) {
  const std::uint64_t v_operand = wgmma_operand(v, Tile::kNextRows, Tile::kNextColumns);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Tile::kKeys / 16; ++step)
    wgmma_bf16_rows_of_k(o, p[step], v_operand + ((step * 2 * Tile::kNextRows) >> 4),
                         add || step != 0);
  wgmma_commit();
}

template <int kKeys>
__device__ void pack_weights(std::uint32_t (&p)[kKeys / 16][4], const float (&s)[kKeys / 2]) {
#pragma unroll
  for (int i = 0; i < kKeys / 4; ++i) p[i / 4][i % 4] = pack_bf16(s[2 * i], s[2 * i + 1]);
}

}  // namespace sparsevid::ops::cuda
