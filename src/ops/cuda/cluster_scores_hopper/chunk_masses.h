// What a warpgroup does with the logits of 64 queries and a tile of means in its registers.
//
// A thread holds the logits as wgmma.h says: of rows r and r + 8 two neighbouring columns of every
// 8. Their exponentials, rounded to bf16 and packed by columns, are exactly the left operand of
// mma.sync with k along the columns, and, transposed on the way through shared memory, the left
// operand with k along the rows. So both sums, over the columns and over the rows, are products of
// small matrices whose other side is a vector, split into two bf16 so that it loses nothing.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "ops/cuda/common/exp2.h"
#include "ops/cuda/common/ldmatrix.h"
#include "ops/cuda/common/mbarrier.h"
#include "ops/cuda/common/mma_sync.h"
#include "ops/cuda/common/pack_bf16.h"

namespace sparsevid::ops::cuda {

constexpr int blocks_of_16(int columns) { return (columns + 15) / 16; }

/// The exponentials of a tile, relative to the largest logit of each row.
template <int kTile>
struct TileMasses {
  // [block of 8 columns][row r, row r + 8]; zeros behind the last one
  std::uint32_t packed[4 * blocks_of_16(kTile)];
  float largest[2];  // of the rows, in base 2

  __device__ void take(const float (&logits)[kTile / 2], float scale) {
    float most[2] = {logits[0], logits[2]};
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r)
        most[r] = fmaxf(most[r], fmaxf(logits[4 * j + 2 * r], logits[4 * j + 2 * r + 1]));
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(~0u, most[r], 2));
      largest[r] = most[r] * scale;
    }
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float low = exp2_approximate(fmaf(logits[4 * j + 2 * r], scale, -largest[r]));
        const float high = exp2_approximate(fmaf(logits[4 * j + 2 * r + 1], scale, -largest[r]));
        packed[2 * j + r] = pack_bf16(low, high);
      }
#pragma unroll
    for (int i = kTile / 4; i < 4 * blocks_of_16(kTile); ++i) packed[i] = 0;
  }
};

/// The sizes of clusters as the right operand: column 0 of it holds their upper halves, column 1
/// the lower ones, the others zeros. Only eight lanes hold what is not zero, and one load brings
/// the parts of two blocks of 16 columns: all lanes of each for itself would be eight times the
/// traffic of shared memory, which bounds the kernel.
template <int kTile>
struct TileSizes {
  static constexpr int kBlocks = blocks_of_16(kTile);
  static constexpr int kPairs = (kBlocks + 1) / 2;
  uint4 parts[kPairs][8];  // of lane 4 n + quarter, for column n: two words of each block

  /// From kTile sizes; `thread` of `threads`.
  __device__ void fill(const float* sizes, int thread, int threads) {
    for (int i = thread; i < kPairs * 16; i += threads) {
      const int block = i / 8;
      const int quarter = i / 2 % 4;
      const int column = block * 16 + i % 2 * 8 + quarter * 2;
      const float2 size = column < kTile ? float2{sizes[column], sizes[column + 1]} : float2{};
      const std::uint32_t upper = pack_bf16(size.x, size.y);
      const float2 rest = {size.x - __uint_as_float(upper << 16),
                           size.y - __uint_as_float(upper & 0xffff0000U)};
      const auto place = [&](int part) {
        return reinterpret_cast<std::uint32_t*>(&parts[block / 2][4 * part + quarter]) +
               block % 2 * 2 + i % 2;
      };
      *place(0) = upper;
      *place(1) = pack_bf16(rest.x, rest.y);
    }
  }
  __device__ uint4 of_lane(int pair, int lane) const {
    uint4 own = {0, 0, 0, 0};
    if (lane < 8) own = parts[pair][lane];
    return own;
  }
};

/// The sums of the exponentials of rows r and r + 8, each times its cluster's size; in the first of
/// the four lanes that share the rows.
template <int kTile>
__device__ float2 add_columns(const TileMasses<kTile>& masses, const TileSizes<kTile>& sizes,
                              int lane) {
  float sums[2][4] = {};
#pragma unroll
  for (int pair = 0; pair < TileSizes<kTile>::kPairs; ++pair) {
    const uint4 size = sizes.of_lane(pair, lane);
    const unsigned words[2][2] = {{size.x, size.y}, {size.z, size.w}};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int block = 2 * pair + i;
      if (block >= TileSizes<kTile>::kBlocks) break;
      const unsigned* packed = &masses.packed[4 * block];
      const unsigned a[4] = {packed[0], packed[1], packed[2], packed[3]};
      mma_bf16(sums[i], a, words[i][0], words[i][1]);
    }
  }
  return {sums[0][0] + sums[1][0] + (sums[0][1] + sums[1][1]),
          sums[0][2] + sums[1][2] + (sums[0][3] + sums[1][3])};
}

/// Room of a warp for its 16 rows of a tile, transposed: of the upper eight rows all columns behind
/// each other, 16 bytes each, and then of the lower eight.
template <int kTile>
struct WarpTile {
  static constexpr int kBytesOfHalf = 256 * blocks_of_16(kTile);
  alignas(16) unsigned char halves[2][kBytesOfHalf];
};

template <int kTile>
__device__ void store_masses(const TileMasses<kTile>& masses, WarpTile<kTile>& room, int lane) {
  // Matrices 0 and 1 are the upper and the lower eight rows of 8 columns, 2 and 3 of the next 8.
  const unsigned place =
      shared_address(&room.halves[lane / 8 % 2][(lane / 16 * 8 + lane % 8) * 16]);
#pragma unroll
  for (int block = 0; block < blocks_of_16(kTile); ++block)
    stmatrix_x4_transposed(&masses.packed[4 * block], place + block * 256);
}

/// Sums over the 16 rows of a warp, for each column.
template <int kTile>
struct WarpSums {
  static_assert(kTile <= 128);
  float sums[128];

  /// Neither lanes of a warp that ask for 32 neighbouring columns nor those that add_rows has write
  /// meet a bank twice.
  __device__ static int place(int block, int half, int column) {
    return block / 4 * 64 + half * 32 + ((block % 4 * 8 + column) ^ half * 16);
  }
  __device__ float of(int column) const {
    return sums[place(column / 16, column % 16 / 8, column % 8)];
  }
};

/// Adds up the rows of each column of stored masses, weighed by `factor` of rows r and r + 8: the
/// left operand is 16 columns by 16 rows, the right one the factors in two columns, upper and lower
/// parts. These are other two for each of four blocks of 16 columns, so that all four can be added
/// to the same sums, of which every lane then has those of two columns.
template <int kTile>
__device__ void add_rows(WarpTile<kTile>& room, const float (&factor)[2], WarpSums<kTile>& to,
                         int lane) {
  // Matrices 0 and 1 are columns 0 to 7 and 8 to 15 of the upper eight rows, 2 and 3 of the lower.
  const unsigned place = shared_address(&room.halves[lane / 16][lane % 16 * 16]);
  unsigned weights[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float low = __shfl_sync(~0u, factor[r], lane % 4 * 8);
    const float high = __shfl_sync(~0u, factor[r], lane % 4 * 8 + 4);
    weights[r] = pack_bf16(low, high);
    if (lane / 4 % 2 == 1)
      weights[r] = pack_bf16(low - __uint_as_float(weights[r] << 16),
                             high - __uint_as_float(weights[r] & 0xffff0000U));
  }
  constexpr int kBlocks = blocks_of_16(kTile);
  constexpr int kAtOnce = 4;
#pragma unroll
  for (int first = 0; first < kBlocks; first += kAtOnce) {
    unsigned a[kAtOnce][4];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i < kBlocks) ldmatrix_x4(a[i], place + (first + i) * 256);
    float sums[4] = {};
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i >= kBlocks) break;
      const bool own = lane / 8 == i;
      mma_bf16(sums, a[i], own ? weights[0] : 0, own ? weights[1] : 0);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half)
      to.sums[WarpSums<kTile>::place(first + lane % 4, half, lane / 4)] =
          sums[2 * half] + sums[2 * half + 1];
  }
}

}  // namespace sparsevid::ops::cuda
