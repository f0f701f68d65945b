// Centroids as the tensor cores want them: tiles that one bulk copy brings to shared memory.
//
// A tile holds kTile centroids as the right operand of wgmma (k contiguous, swizzled by 128 bytes,
// 64 columns a slab) and behind them one float for each. For rows that come to registers the
// columns of k are exchanged so that a thread's share of a row is 16 neighbouring bytes of every
// 64; rows in shared memory go with columns in their own order.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace sparsevid::ops::cuda {

template <int kDim, int kTile>
struct CentroidTile {
  static_assert(kDim % 64 == 0 && kTile % 8 == 0);
  static constexpr int kMatrixBytes = kDim * kTile * 2;
  static constexpr int kBytes = kMatrixBytes + kTile * 4;
  static constexpr int kStageBytes = (kBytes + 1023) / 1024 * 1024;  // in shared memory

  /// Where columns `column` and the next, an even one, of centroid `row` lie.
  template <bool kExchanged>
  __device__ static int offset(int row, int column) {
    const int part = column / 32;
    const int lane = column % 32 / 8;  // of the four threads that share a row of the left side
    const int within = column % 8;
    const int exchanged = (2 * part + within / 4) * 16 + within % 4 / 2 * 8 + 2 * lane;
    const int k = kExchanged ? exchanged : column;
    const int chunk = k % 64 / 8 ^ row % 8;
    return k / 64 * kTile * 128 + row * 128 + chunk * 16 + k % 8 * 2;
  }
};

/// The registers of 16 k of the left side: of rows r and r + 8 the quarter that belongs to a
/// thread. `part` covers 32 columns, two steps of 16.
struct RowPart {
  uint4 upper;
  uint4 lower;
};
template <int kStep>
__device__ void left_operand(const RowPart& part, std::uint32_t (&a)[4]) {
  a[0] = kStep == 0 ? part.upper.x : part.upper.z;
  a[1] = kStep == 0 ? part.lower.x : part.lower.z;
  a[2] = kStep == 0 ? part.upper.y : part.upper.w;
  a[3] = kStep == 0 ? part.lower.y : part.lower.w;
}

/// A tile size for this many clusters: the one that pads least.
constexpr int kTileSizes[] = {128, 112, 104, 80};
constexpr int best_tile(int clusters) {
  int best = kTileSizes[0];
  for (const int size : kTileSizes)
    if ((clusters + size - 1) / size * size < (clusters + best - 1) / best * best) best = size;
  return best;
}

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};
/// Calls `run` with head_dim and the tile size, one of kSizes, as constants.
template <int... kSizes, typename Run>
void with_tile(int dim, int tile, const Run& run) {
  const auto with_dim = [&](auto d) {
    static_cast<void>(((tile == kSizes ? (run(d, Constant<kSizes>()), true) : false) || ...));
  };
  if (dim == 64) {
    with_dim(Constant<64>());
  } else {
    with_dim(Constant<128>());
  }
}

}  // namespace sparsevid::ops::cuda
