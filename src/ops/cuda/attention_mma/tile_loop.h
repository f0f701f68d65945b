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
//   void finish(math, ring, query_tokens);                 writes the result
#pragma once

#include "ops/cuda/attention_mma/tile_math.h"

namespace sparsevid::ops::cuda {

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
        factor_(scale * kLog2E) {}

  /// `query_tokens` must be visible. `active`: whether this warp has queries.
  __device__ void run(bool active) {
    const int tiles = source_.tiles();
    begin(tiles);
    for (int tile = 0; tile < tiles; ++tile) {
      arrive();
      if (tile + Tiles::kSlots - 1 < tiles) source_.prepare(tile + Tiles::kSlots - 1);
      load(2 * tile + Tiles::kSlots - 1, 2 * tiles);
      typename TileMath<Tiles>::Logits logits;
      if (active) {
        math.multiply_keys(queries_, slot(2 * tile), logits);
        weigh(tile, logits);
      }
      arrive();
      load(2 * tile + Tiles::kSlots, 2 * tiles);
      if (active) math.add_values(slot(2 * tile + 1), logits);
    }
    cp_async_wait<0>();
    __syncthreads();  // the ring is free for the outputs
  }

  TileMath<Tiles> math;

 private:
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
      math.keep_queries(queries_);
      __syncthreads();
    }
    for (int step = 0; step < Tiles::kSlots - 1; ++step) load(step, 2 * tiles);
  }

  __device__ void weigh(int tile, typename TileMath<Tiles>::Logits& logits) {
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
    math.softmax.weigh(logits, factor, math.output);
  }

  Source& source_;
  RowLoader<Tiles::kHeadDim> loader_;
  const int* query_tokens_;
  unsigned ring_;
  unsigned queries_;
  float factor_;  // logits to base 2
};

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
  source.finish(loop.math, memory, query_tokens);
}

}  // namespace sparsevid::ops::cuda
