// One block's work in 8 bits: its tiles, how their bytes lie, and shared memory.
//
// Queries, keys and values are copied from images: bytes in the order in which the tensor cores
// read them from shared memory (rounding.h makes them). An atom is 16 keys, a tile a run of atoms.
//   queries: int8 rows of head_dim bytes, which go to registers.
//   keys: for each 8 of them head_dim / 16 blocks of 8 rows of 16 bytes, unswizzled.
//   values: for each 16 keys head_dim + 8 rows of 16 bytes, unswizzled: a row for each column of
//     the values, and 8 that give the sum of the weights, as products have multiples of 8 columns:
//     one of them is of ones, or 0 for keys that do not exist, in turn, so that each sum has an
//     eighth of the weights and loses less of them (attend.h).
#pragma once

#include "ops/cuda/attention_hopper_8bit/e4m3_operands.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda {

/// What the largest magnitude of rounded queries or keys becomes.
inline constexpr float kLargestInt8 = 127;

/// Integer logits are added to the bits of this float, 1.5 2^23, whose lowest bit is 1, so that
/// they need no conversion: the sum's bits are those of the float sum, as long as the logits are
/// within 2^22. (Those of int8 are, for up to 260 channels.)
inline constexpr float kLogitOrigin = 12582912;

/// The least scale of logits, in powers of 2, that may have a bias: log2 of 2^32 keys, beside
/// logits of 128 channels, is within these 2^22.
inline constexpr float kLeastScale = 0x1p-16F;

inline constexpr int kAtomKeys = 16;
inline constexpr int kSumColumns = 8;
constexpr int key_atom_bytes(int head_dim) { return kAtomKeys * head_dim; }
constexpr int value_atom_bytes(int head_dim) { return kAtomKeys * (head_dim + kSumColumns); }

template <int kHeadDim_, int kKeys_, int kStages_ = 2, int kWarpgroups_ = 2>
struct Tile8 {
  static constexpr int kHeadDim = kHeadDim_;
  static constexpr int kKeys = kKeys_;              // of a tile
  static constexpr int kWarpgroups = kWarpgroups_;  // that compute, 64 query rows each
  static constexpr int kStages = kStages_;
  static constexpr int kRows = 64 * kWarpgroups;
  static constexpr int kThreads = kWarpgroupThreads * (1 + kWarpgroups);
  static constexpr int kAtoms = kKeys / kAtomKeys;
  static constexpr int kKeyBytes = kAtoms * key_atom_bytes(kHeadDim);
  static constexpr int kValueBytes = kAtoms * value_atom_bytes(kHeadDim);
  // Of a thread: output, and 2 x 2 sums of weights.
  static constexpr int kSums = (kHeadDim + kSumColumns) / 2;
  // As in attention_hopper/tile.h.
  static constexpr int kStartRegisters = kWarpgroups == 2 ? 168 : 128;
  static constexpr int kLoadRegisters = kWarpgroups == 2 ? 40 : 32;
  static constexpr int kComputeRegisters =
      kStartRegisters + (kStartRegisters - kLoadRegisters) / kWarpgroups / 8 * 8;
  static_assert(kKeys % 32 == 0);
};

/// Begins at a multiple of 128 bytes.
template <class Tile>
struct Shared8 {
  unsigned char k[Tile::kStages][Tile::kKeyBytes];
  unsigned char v[Tile::kStages][Tile::kValueBytes];
  float4 kept[Tile::kWarpgroups][Tile::kSums / 4][kWarpgroupThreads];
  Barrier k_full[Tile::kStages];
  Barrier k_empty[Tile::kStages];
  Barrier v_full[Tile::kStages];
  Barrier v_empty[Tile::kStages];
};

/// A thread's part of a warpgroup's 64 rows of queries: of row 16 w + lane / 4, w its warp, and of
/// the eighth row after it.
template <int kHeadDim>
struct QueryRegisters {
  std::uint32_t part[kHeadDim / 32][4];

  __device__ QueryRegisters(const unsigned char* row, const unsigned char* eighth_after) {
    const int lane = threadIdx.x % 32;
    const std::uint32_t* const words[2] = {
        reinterpret_cast<const std::uint32_t*>(row) + lane % 4,
        reinterpret_cast<const std::uint32_t*>(eighth_after) + lane % 4};
#pragma unroll
    for (int step = 0; step < kHeadDim / 32; ++step)
#pragma unroll
      for (int i = 0; i < 4; ++i) part[step][i] = words[i % 2][step * 8 + i / 2 * 4];
  }
};

/// An unswizzled operand in shared memory: blocks of 8 rows of 16 bytes, `next_rows` bytes apart
/// along the rows and `next_columns` along k.
__device__ inline std::uint64_t plain_operand(const void* shared, int next_rows, int next_columns) {
  return static_cast<std::uint64_t>(next_rows >> 4) << 32 |
         static_cast<std::uint64_t>(next_columns >> 4) << 16 |
         (shared_address(shared) & 0x3ffff) >> 4;
}

/// Issues s += q k^T.
template <class Tile>
__device__ void issue_logits(int (&s)[Tile::kKeys / 2], const QueryRegisters<Tile::kHeadDim>& q,
                             const unsigned char* k) {
  const std::uint64_t k_operand = plain_operand(k, 8 * Tile::kHeadDim, 128);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Tile::kHeadDim / 32; ++step)
    wgmma_int8(s, q.part[step], k_operand + (step * 256 >> 4), true);
  wgmma_commit();
}

/// Issues o += p v, or o = p v.
template <class Tile>
__device__ void issue_output(float (&o)[Tile::kSums], const std::uint32_t (&p)[Tile::kKeys / 32][4],
                             const unsigned char* v, bool add) {
  constexpr int kAtomBytes = value_atom_bytes(Tile::kHeadDim);
  const std::uint64_t v_operand = plain_operand(v, 128, kAtomBytes);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Tile::kKeys / 32; ++step)
    wgmma_e4m3(o, p[step], v_operand + (step * 2 * kAtomBytes >> 4), add || step != 0);
  wgmma_commit();
}

/// `w`: bits of floats, which take the registers of the logits they are made of.
template <int kKeys>
__device__ void pack_weights(std::uint32_t (&p)[kKeys / 32][4], const int (&w)[kKeys / 2]) {
#pragma unroll
  for (int i = 0; i < kKeys / 32; ++i)
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const int at = 16 * i + part / 2 * 8 + part % 2 * 2;
      p[i][part] = pack_e4m3(__int_as_float(w[at]), __int_as_float(w[at + 1]),
                             __int_as_float(w[at + 4]), __int_as_float(w[at + 5]));
    }
}

}  // namespace sparsevid::ops::cuda
