// A tile of bf16 rows in shared memory: how it is swizzled, and a thread's part in filling it.
#pragma once

#include <cstdint>

#include "ops/cuda/common/cp_async.h"
#include "ops/cuda/common/elements.h"

namespace sparsevid::ops::cuda {

constexpr int kAttentionWarps = 4;
constexpr int kAttentionThreads = 32 * kAttentionWarps;

/// The rows of one head: row i begins `stride_bytes` i behind `data`. 32 bits make the address of a
/// row one multiplication.
struct TileRows {
  const device_bf16* data;
  int stride_bytes;
};

/// Rows lie one behind the other, 16-byte chunk c of row r at place c ^ (r % 8): eight rows of one
/// chunk, what ldmatrix reads at a time, then lie in different banks.
template <int kHeadDim>
struct RowTile {
  static constexpr int kRowBytes = kHeadDim * 2;
  static constexpr int kChunks = kHeadDim / 8;
  static_assert(kChunks % 8 == 0);

  /// `row_in_eight` is the row modulo 8.
  __device__ static unsigned offset(int row, int row_in_eight, int chunk) {
    return row * kRowBytes + ((chunk ^ row_in_eight) * 16);
  }
};

/// Thread i copies chunk i % kChunks of every (threads / kChunks)th row.
template <int kHeadDim>
class RowLoader {
 public:
  /// Columns from `head_dim` to kHeadDim become zeros.
  __device__ explicit RowLoader(int head_dim)
      : chunk_(threadIdx.x % Tile::kChunks),
        row_(threadIdx.x / Tile::kChunks),
        offset_(Tile::offset(row_, row_ % 8, chunk_)),
        inside_(chunk_ * 8 < head_dim) {}

  /// `token_of(row)` says which row of `rows` goes to row `row` of the tile; -1: zeros.
  template <int kRows, class TokenOf>
  __device__ void load(unsigned tile, const TileRows& rows, const TokenOf& token_of) const {
#pragma unroll
    for (int i = 0; i < kRowsOf<kRows>; ++i) {
      const int token = token_of(row_ + i * kRowsAtOnce);
      copy(tile, rows, i, token, token >= 0);
    }
  }

  /// Rows from `first` on; zeros from `end` on.
  template <int kRows>
  __device__ void load_range(unsigned tile, const TileRows& rows, int first, int end) const {
    first += row_;
#pragma unroll
    for (int i = 0; i < kRowsOf<kRows>; ++i)
      copy(tile, rows, i, first + i * kRowsAtOnce, first + i * kRowsAtOnce < end);
  }

  /// The tokens of a tile in shared memory, that of row r at list_place<kRows>(r): four of a
  /// thread's come at a time, before any copy is issued, which a read could not overtake.
  template <int kRows>
  __device__ void load_list(unsigned tile, const TileRows& rows, const int* tokens) const {
    static_assert(kRowsOf<kRows> % 4 == 0);
    const auto* mine = reinterpret_cast<const int4*>(tokens + row_ * kRowsOf<kRows>);
#pragma unroll
    for (int i = 0; i < kRowsOf<kRows>; i += 4) {
      const int4 four = mine[i / 4];
      copy(tile, rows, i, four.x, four.x >= 0);
      copy(tile, rows, i + 1, four.y, four.y >= 0);
      copy(tile, rows, i + 2, four.z, four.z >= 0);
      copy(tile, rows, i + 3, four.w, four.w >= 0);
    }
  }
  template <int kRows>
  __device__ static int list_place(int row) {
    return row % kRowsAtOnce * kRowsOf<kRows> + row / kRowsAtOnce;
  }

 private:
  using Tile = RowTile<kHeadDim>;
  static constexpr int kRowsAtOnce = kAttentionThreads / Tile::kChunks;
  static_assert(kRowsAtOnce % 8 == 0);
  /// The rows of a thread.
  template <int kRows>
  static constexpr int kRowsOf = kRows / kRowsAtOnce;

  /// Where nothing is read, the address does not matter.
  __device__ void copy(unsigned tile, const TileRows& rows, int i, int token, bool present) const {
    cp_async_16(tile + offset_ + i * kRowsAtOnce * Tile::kRowBytes,
                reinterpret_cast<const unsigned char*>(rows.data) + chunk_ * 16 +
                    static_cast<std::int64_t>(token) * rows.stride_bytes,
                inside_ && present);
  }

  int chunk_;
  int row_;
  unsigned offset_;
  bool inside_;
};

}  // namespace sparsevid::ops::cuda
