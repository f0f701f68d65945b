// The arithmetic of a warp on tiles in shared memory: logits from queries and keys, sums from
// weights and values, and the way of the sums to memory.
#pragma once

#include "ops/cuda/attention_mma/online_softmax.h"
#include "ops/cuda/attention_mma/row_tile.h"
#include "ops/cuda/common/ldmatrix.h"

namespace sparsevid::ops::cuda {

template <int kHeadDimValue, int kRowTilesValue, int kKeysValue, int kSlotsValue,
          bool kKeepQueriesValue, int kBlocksValue>
struct AttentionTiles {
  static constexpr int kHeadDim = kHeadDimValue;
  static constexpr int kRowTiles = kRowTilesValue;
  static constexpr int kKeys = kKeysValue;
  static constexpr int kSlots = kSlotsValue;
  static constexpr bool kKeepQueries = kKeepQueriesValue;  ///< in registers
  static constexpr int kBlocks = kBlocksValue;             ///< on a multiprocessor at once
  static constexpr int kWarpRows = 16 * kRowTiles;
  static constexpr int kRows = kAttentionWarps * kWarpRows;
  static constexpr int kSlotBytes = kKeys * kHeadDim * 2;
  static constexpr int kQueryBytes = kRows * kHeadDim * 2;
  /// The ring also holds the outputs at the end, and at the beginning queries on their way into
  /// registers.
  static constexpr int kRingBytes =
      kSlots * kSlotBytes > kQueryBytes ? kSlots* kSlotBytes : kQueryBytes;
  static constexpr int kBytes = kRingBytes + (kKeepQueries ? 0 : kQueryBytes);
  static_assert(kSlots >= 2 && kKeys % 16 == 0);
};

/// The row of the block's tile that a lane's row `index` of the fragments is.
template <class Tiles>
__device__ inline int tile_row(int index) {
  const int lane = threadIdx.x % 32;
  return threadIdx.x / 32 * Tiles::kWarpRows + index / 2 * 16 + index % 2 * 8 + lane / 4;
}

template <class Tiles>
class TileMath {
 public:
  using Logits = float[Tiles::kRowTiles][Tiles::kKeys / 8][4];

  __device__ TileMath() {
    const int lane = threadIdx.x % 32;
    const int row = lane % 8;
    key_offset_ = Tile::offset(lane / 16 * 8 + row, row, lane / 8 % 2);
    value_offset_ = Tile::offset(lane / 8 % 2 * 8 + row, row, lane / 16);
    query_offset_ = value_offset_ + threadIdx.x / 32 * Tiles::kWarpRows * Tile::kRowBytes;
  }

  /// Reads all queries of the warp into registers, if that is where they stay.
  __device__ void keep_queries(unsigned queries) {
    if constexpr (Tiles::kKeepQueries) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) read_queries(queries, k, kept_[k]);
    }
  }

  __device__ void multiply_keys(unsigned queries, unsigned keys, Logits& logits) const {
#pragma unroll
    for (int i = 0; i < Tiles::kRowTiles; ++i)
#pragma unroll
      for (int n = 0; n < Tiles::kKeys / 8; ++n)
#pragma unroll
        for (int c = 0; c < 4; ++c) logits[i][n][c] = 0;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      unsigned read[Tiles::kRowTiles][4];
      if constexpr (!Tiles::kKeepQueries) read_queries(queries, k, read);
      const auto& query = Tiles::kKeepQueries ? kept_[k] : read;
#pragma unroll
      for (int n = 0; n < Tiles::kKeys / 16; ++n) {
        unsigned key[4];
        ldmatrix_x4(key, ((keys + key_offset_) ^ (k * 32)) + n * 16 * Tile::kRowBytes);
#pragma unroll
        for (int i = 0; i < Tiles::kRowTiles; ++i) {
          mma_bf16(logits[i][2 * n], query[i], key[0], key[1]);
          mma_bf16(logits[i][2 * n + 1], query[i], key[2], key[3]);
        }
      }
    }
  }

  __device__ void add_values(unsigned values, const Logits& weights) {
#pragma unroll
    for (int k = 0; k < Tiles::kKeys / 16; ++k) {
      unsigned weight[Tiles::kRowTiles][4];
#pragma unroll
      for (int i = 0; i < Tiles::kRowTiles; ++i)
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const float* pair = &weights[i][2 * k + part / 2][part % 2 * 2];
          weight[i][part] = pack_bf16(pair[0], pair[1]);
        }
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        unsigned value[4];
        ldmatrix_x4_transposed(value,
                               ((values + value_offset_) ^ (n * 32)) + k * 16 * Tile::kRowBytes);
#pragma unroll
        for (int i = 0; i < Tiles::kRowTiles; ++i) {
          mma_bf16(output[i][2 * n], weight[i], value[0], value[1]);
          mma_bf16(output[i][2 * n + 1], weight[i], value[2], value[3]);
        }
      }
    }
  }

  FragmentSoftmax<Tiles::kRowTiles> softmax;
  float output[Tiles::kRowTiles][Tiles::kHeadDim / 8][4] = {};

 private:
  using Tile = RowTile<Tiles::kHeadDim>;
  static constexpr int kSteps = Tiles::kHeadDim / 16;

  __device__ void read_queries(unsigned queries, int k,
                               unsigned (&fragment)[Tiles::kRowTiles][4]) const {
#pragma unroll
    for (int i = 0; i < Tiles::kRowTiles; ++i)
      ldmatrix_x4(fragment[i], (queries + query_offset_ + i * 16 * Tile::kRowBytes) ^ (k * 32));
  }

  unsigned key_offset_;
  unsigned value_offset_;
  unsigned query_offset_;
  unsigned kept_[Tiles::kKeepQueries ? kSteps : 1][Tiles::kRowTiles][4];
};

/// Divides by the totals and stores the outputs of a warp's rows, whole rows at a time, through the
/// warp's own rows of a tile in shared memory. `token_of(row)` says where a row goes; -1: nowhere.
template <class Tiles, class TokenOf>
__device__ void store_outputs(const TileMath<Tiles>& math, unsigned char* staging,
                              const TokenOf& token_of, device_bf16* out, std::int64_t stride,
                              int head_dim) {
  using Tile = RowTile<Tiles::kHeadDim>;
  const int lane = threadIdx.x % 32;
  const int first = threadIdx.x / 32 * Tiles::kWarpRows;
#pragma unroll
  for (int i = 0; i < 2 * Tiles::kRowTiles; ++i) {
    const float total = quad_sum(math.softmax.total[i]);
    const float share = total > 0 ? 1 / total : 0.F;
    const int row = tile_row<Tiles>(i);
#pragma unroll
    for (int n = 0; n < Tile::kChunks; ++n) {
      const float* pair = &math.output[i / 2][n][i % 2 * 2];
      *reinterpret_cast<unsigned*>(staging + Tile::offset(row, row % 8, n) + lane % 4 * 4) =
          pack_bf16(pair[0] * share, pair[1] * share);
    }
  }
  __syncwarp();
  const int chunk = lane % Tile::kChunks;
  if (chunk * 8 >= head_dim) return;
#pragma unroll 4
  for (int row = first + lane / Tile::kChunks; row < first + Tiles::kWarpRows;
       row += 32 / Tile::kChunks) {
    const int token = token_of(row);
    if (token >= 0)
      *reinterpret_cast<uint4*>(out + token * stride + chunk * 8) =
          *reinterpret_cast<const uint4*>(staging + Tile::offset(row, row % 8, chunk));
  }
}

}  // namespace sparsevid::ops::cuda
