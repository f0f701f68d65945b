// One block's work in 8 bits at head_dim 128: its tiles, how their bytes lie, and shared memory.
//
// Queries, keys and values are copied from images of their tiles: bytes in the order in which the
// tensor cores read them from shared memory (prepare.h makes them).
//   queries: int8 rows of 128 bytes, which go to registers.
//   keys: int8 rows of 128 bytes; atoms of 8 rows, swizzled by 128 bytes; behind a tile its scale.
//   values: for each 16 keys 136 rows of 16 bytes, unswizzled: a row for each column of the values,
//     and 8 that give the sum of the weights, as products have multiples of 8 columns: one of them
//     is of ones, or 0 for keys that do not exist, in turn, so that each sum has an eighth of the
//     weights and loses less of them (attend.h).
#pragma once

#include "ops/cuda/attention_hopper_8bit/products.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/warpgroup.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda {

inline constexpr int kHeadDim8 = 128;
inline constexpr int kValueRows = kHeadDim8 + 8;
inline constexpr int kValueAtomBytes = kValueRows * 16;

template <int kKeys_, int kWarpgroups_ = 2, int kStages_ = 2>
struct Tile8 {
  static constexpr int kKeys = kKeys_;              // of a tile
  static constexpr int kWarpgroups = kWarpgroups_;  // that compute, 64 query rows each
  static constexpr int kStages = kStages_;
  static constexpr int kRows = 64 * kWarpgroups;
  static constexpr int kThreads = kWarpgroupThreads * (1 + kWarpgroups);
  static constexpr int kScaleAt = kKeys * kHeadDim8;
  static constexpr int kKeyBytes = kScaleAt + 128;
  static constexpr int kValueBytes = kKeys / 16 * kValueAtomBytes;
  static constexpr int kSums = kValueRows / 2;  // of a thread: output, and 2 x 2 sums of weights
  // As in attention_hopper/tile.h.
  static constexpr int kStartRegisters = kWarpgroups == 2 ? 168 : 128;
  static constexpr int kLoadRegisters = kWarpgroups == 2 ? 24 : 32;
  static constexpr int kComputeRegisters =
      kStartRegisters + (kStartRegisters - kLoadRegisters) / kWarpgroups / 8 * 8;
  static_assert(kKeys % 32 == 0);
};

/// Begins at a multiple of 1024 bytes, as the swizzle asks for.
template <class Tile>
struct Shared8 {
  static constexpr int kKeyRoom = (Tile::kKeyBytes + 1023) / 1024 * 1024;
  unsigned char k[Tile::kStages][kKeyRoom];
  unsigned char v[Tile::kStages][Tile::kValueBytes];
  float4 kept[Tile::kWarpgroups][Tile::kSums / 4][kWarpgroupThreads];
  Barrier k_full[Tile::kStages];
  Barrier k_empty[Tile::kStages];
  Barrier v_full[Tile::kStages];
  Barrier v_empty[Tile::kStages];
};

/// A thread's part of a warpgroup's 64 rows of queries.
struct QueryRegisters {
  std::uint32_t part[kHeadDim8 / 32][4];

  /// `rows`: the first of them.
  __device__ explicit QueryRegisters(const unsigned char* rows) {
    const int lane = threadIdx.x % 32;
    const int row = threadIdx.x % kWarpgroupThreads / 32 * 16 + lane / 4;
    const auto* words = reinterpret_cast<const std::uint32_t*>(rows + row * kHeadDim8) + lane % 4;
#pragma unroll
    for (int step = 0; step < kHeadDim8 / 32; ++step)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        part[step][i] = words[step * 8 + i / 2 * 4 + i % 2 * (8 * kHeadDim8 / 4)];
  }
};

/// Issues s = q k^T.
template <class Tile>
__device__ void issue_logits(int (&s)[Tile::kKeys / 2], const QueryRegisters& q,
                             const unsigned char* k) {
  const std::uint64_t k_operand = wgmma_operand(k, 1024, 16);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < kHeadDim8 / 32; ++step)
    wgmma_int8(s, q.part[step], k_operand + (step * 32 >> 4), step != 0);
  wgmma_commit();
}

/// An unswizzled operand in shared memory: blocks of 8 rows of 16 bytes, `next_rows` bytes apart
/// along the rows and `next_columns` along k.
__device__ inline std::uint64_t plain_operand(const void* shared, int next_rows, int next_columns) {
  return static_cast<std::uint64_t>(next_rows >> 4) << 32 |
         static_cast<std::uint64_t>(next_columns >> 4) << 16 |
         (shared_address(shared) & 0x3ffff) >> 4;
}

/// Issues o += p v, or o = p v.
template <class Tile>
__device__ void issue_output(float (&o)[Tile::kSums], const std::uint32_t (&p)[Tile::kKeys / 32][4],
                             const unsigned char* v, bool add) {
  const std::uint64_t v_operand = plain_operand(v, 128, kValueAtomBytes);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < Tile::kKeys / 32; ++step)
    wgmma_e4m3(o, p[step], v_operand + (step * 2 * kValueAtomBytes >> 4), add || step != 0);
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

template <int kCount>
__device__ void pin_registers(int (&registers)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(registers[i])::"memory");
}

}  // namespace sparsevid::ops::cuda
