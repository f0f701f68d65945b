// Attention of one tile of queries over whatever keys a source names: the main loop of the kernels
// of this folder.
//
// The problem: softmax(scale Q K^T + bias) V for bf16 rows, f32 sums, on any GPU from sm_80 on.
// Plan: a block of 4 warps owns 64 kRowTiles queries, a warp 16 kRowTiles of them. Tiles of keys,
//   and tiles of their values, take turns in a ring of kSlots slots of shared memory, filled by
//   cp.async; one barrier for each says that a tile is there and that the slot of the one before is
//   free. Logits, weights and sums stay in registers: the sums of Q K^T have the layout that the
//   left operand of the product with V needs.
// Shared memory: (kSlots kKeys + queries, unless they stay in registers) kHeadDim 2 bytes, and what
//   the source keeps.
// Bound: mma.sync. A fragment of K or V from shared memory serves two row tiles; with one, ldmatrix
//   would be the bound.
// Tried: launch_tiles.h has the sizes. What a gather costs is instructions, not bandwidth (95 % of
//   it hits the L2 cache): while each token was read between two copies that it may not overtake,
//   the sparse kernel ran at 76 % of the dense one's rate; with four at a time it is 95 %.
//
// A source says which queries and which keys. What it must have:
//   bool begin();                                          false: nothing to do; may synchronise
//   TileRows queries();  int query_token(int row);         row of `queries` for each row; -1: none
//   int tiles();                                           of keys, the same for the whole block
//   void prepare(int tile);                                called kSlots - 1 tiles ahead by all
//                                                          threads: may start cp.async, may write
//                                                          shared memory, a place for kSlots tiles
//   kGathers                                               whether `load` needs what it prepared
//   void load(loader, unsigned to, int tile, bool values); the rows of keys or of values
//   bool adjusts(int tile);                                does any logit of the tile need...
//   void adjust(int tile, int row_tile, int column, float factor, float (&logits)[4]);
//                                                          ...this: times the factor, then biases
//                                                          in base 2 and masks; of a fragment
//   void finish(softmax, output, ring, query_tokens);      writes the result
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

template <class Tiles, class Source>
class TileLoop {
 public:
  __device__ TileLoop(Source& source, unsigned memory, const int* query_tokens, int head_dim,
                      float scale)
      : source_(source),
        loader_(head_dim),
        query_tokens_(query_tokens),
        ring_(memory),
        queries_(Tiles::kKeepQueries ? memory : memory + Tiles::kRingBytes),
        factor_(scale * kLog2E) {
    const int lane = threadIdx.x % 32;
    const int row = lane % 8;
    key_offset_ = Tile::offset(lane / 16 * 8 + row, row, lane / 8 % 2);
    value_offset_ = Tile::offset(lane / 8 % 2 * 8 + row, row, lane / 16);
    query_offset_ = value_offset_ + threadIdx.x / 32 * Tiles::kWarpRows * Tile::kRowBytes;
  }

  /// `query_tokens` must be visible. `active`: whether this warp has queries.
  __device__ void run(bool active) {
    const int tiles = source_.tiles();
    begin(tiles);
    for (int tile = 0; tile < tiles; ++tile) {
      arrive();
      if (tile + Tiles::kSlots - 1 < tiles) source_.prepare(tile + Tiles::kSlots - 1);
      load(2 * tile + Tiles::kSlots - 1, 2 * tiles);
      float logits[Tiles::kRowTiles][Tiles::kKeys / 8][4];
      if (active) {
        multiply_keys(slot(2 * tile), logits);
        weigh(tile, logits);
      }
      arrive();
      load(2 * tile + Tiles::kSlots, 2 * tiles);
      if (active) add_values(slot(2 * tile + 1), logits);
    }
    cp_async_wait<0>();
    __syncthreads();  // the ring is free for the outputs
  }

  FragmentSoftmax<Tiles::kRowTiles> softmax;
  float output[Tiles::kRowTiles][Tiles::kHeadDim / 8][4] = {};

 private:
  using Tile = RowTile<Tiles::kHeadDim>;
  static constexpr int kSteps = Tiles::kHeadDim / 16;

  __device__ unsigned slot(int step) const {
    return ring_ + step % Tiles::kSlots * Tiles::kSlotBytes;
  }

  /// The oldest tile that is on its way is there for all, and nobody reads the one before it.
  __device__ void arrive() {
    cp_async_wait<Tiles::kSlots - 2>();
    __syncthreads();
  }

  /// Even steps are keys, odd ones values.
  __device__ void load(int step, int steps) {
    if (step < steps) source_.load(loader_, slot(step), step / 2, step % 2 != 0);
    cp_async_commit();
  }

  __device__ void begin(int tiles) {
    for (int tile = 0; tile < Tiles::kSlots - 1 && tile < tiles; ++tile) source_.prepare(tile);
    cp_async_commit();
    loader_.template load<Tiles::kRows>(queries_, source_.queries(),
                                        [&](int row) { return query_tokens_[row]; });
    cp_async_commit();
    if constexpr (Source::kGathers) {
      cp_async_wait<1>();
      __syncthreads();
    }
    if constexpr (Tiles::kKeepQueries) {
      cp_async_wait<0>();
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kSteps; ++k) read_queries(k, kept_[k]);
      __syncthreads();
    }
    for (int step = 0; step < Tiles::kSlots - 1; ++step) load(step, 2 * tiles);
  }

  __device__ void read_queries(int k, unsigned (&fragment)[Tiles::kRowTiles][4]) const {
#pragma unroll
    for (int i = 0; i < Tiles::kRowTiles; ++i)
      ldmatrix_x4(fragment[i], (queries_ + query_offset_ + i * 16 * Tile::kRowBytes) ^ (k * 32));
  }

  __device__ void multiply_keys(unsigned keys,
                                float (&logits)[Tiles::kRowTiles][Tiles::kKeys / 8][4]) const {
#pragma unroll
    for (int i = 0; i < Tiles::kRowTiles; ++i)
#pragma unroll
      for (int n = 0; n < Tiles::kKeys / 8; ++n)
#pragma unroll
        for (int c = 0; c < 4; ++c) logits[i][n][c] = 0;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      unsigned read[Tiles::kRowTiles][4];
      if constexpr (!Tiles::kKeepQueries) read_queries(k, read);
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

  __device__ void weigh(int tile, float (&logits)[Tiles::kRowTiles][Tiles::kKeys / 8][4]) {
    float factor = factor_;
    if (source_.adjusts(tile)) {
      const int column = 2 * (threadIdx.x % 4);
#pragma unroll
      for (int n = 0; n < Tiles::kKeys / 8; ++n)
#pragma unroll
        for (int i = 0; i < Tiles::kRowTiles; ++i)
          source_.adjust(tile, i, 8 * n + column, factor, logits[i][n]);
      factor = 1;
    }
    softmax.weigh(logits, factor, output);
  }

  __device__ void add_values(unsigned values,
                             const float (&weights)[Tiles::kRowTiles][Tiles::kKeys / 8][4]) {
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

  Source& source_;
  RowLoader<Tiles::kHeadDim> loader_;
  const int* query_tokens_;
  unsigned ring_;
  unsigned queries_;
  unsigned key_offset_;
  unsigned value_offset_;
  unsigned query_offset_;
  float factor_;  // logits to base 2
  unsigned kept_[Tiles::kKeepQueries ? kSteps : 1][Tiles::kRowTiles][4];
};

/// Divides by the totals and stores a block's outputs, whole rows at a time. The ring is the way.
template <class Tiles>
__device__ void store_outputs(const FragmentSoftmax<Tiles::kRowTiles>& softmax,
                              const float (&output)[Tiles::kRowTiles][Tiles::kHeadDim / 8][4],
                              unsigned char* ring, const int* query_tokens, device_bf16* out,
                              std::int64_t stride, int head_dim) {
  using Tile = RowTile<Tiles::kHeadDim>;
  const int lane = threadIdx.x % 32;
  const int first = threadIdx.x / 32 * Tiles::kWarpRows;
#pragma unroll
  for (int i = 0; i < 2 * Tiles::kRowTiles; ++i) {
    const float total = quad_sum(softmax.total[i]);
    const float share = total > 0 ? 1 / total : 0.F;
    const int row = tile_row<Tiles>(i);
#pragma unroll
    for (int n = 0; n < Tile::kChunks; ++n) {
      const float* pair = &output[i / 2][n][i % 2 * 2];
      *reinterpret_cast<unsigned*>(ring + Tile::offset(row, row % 8, n) + lane % 4 * 4) =
          pack_bf16(pair[0] * share, pair[1] * share);
    }
  }
  __syncwarp();
  const int chunk = lane % Tile::kChunks;
  if (chunk * 8 >= head_dim) return;
#pragma unroll 4
  for (int row = first + lane / Tile::kChunks; row < first + Tiles::kWarpRows;
       row += 32 / Tile::kChunks) {
    const int token = query_tokens[row];
    if (token >= 0)
      *reinterpret_cast<uint4*>(out + token * stride + chunk * 8) =
          *reinterpret_cast<const uint4*>(ring + Tile::offset(row, row % 8, chunk));
  }
}

/// The kernel of a source. The problem has head_dim and scale; what else the source needs is its
/// own affair, shared memory behind the tiles included.
template <class Tiles, class Source>
__global__ void __launch_bounds__(kAttentionThreads, Tiles::kBlocks)
    attention_tiles(const __grid_constant__ typename Source::Problem problem) {
  extern __shared__ __align__(256) unsigned char memory[];
  __shared__ int query_tokens[Tiles::kRows];
  __shared__ typename Source::Shared shared;
  Source source(problem, shared, memory + Tiles::kBytes);
  if (!source.begin()) return;
  for (int row = threadIdx.x; row < Tiles::kRows; row += kAttentionThreads)
    query_tokens[row] = source.query_token(row);
  __syncthreads();
  TileLoop<Tiles, Source> loop(source, shared_address(memory), query_tokens, problem.head_dim,
                               problem.scale);
  loop.run(query_tokens[threadIdx.x / 32 * Tiles::kWarpRows] >= 0);
  source.finish(loop.softmax, loop.output, memory, query_tokens);
}

}  // namespace sparsevid::ops::cuda
