// The problem: cross attention, 75,600 queries a head to a few dozen or hundred rows of text: to
//   read the queries and to write the outputs is most of the work.
// Plan: as in tile_loop.h, but a block goes on from one tile of queries to the next. The ring never
//   runs dry: behind the last values of a tile come the first keys again, from the L2 cache, and
//   the next queries come into a second buffer meanwhile. Outputs leave through the buffer of their
//   queries, whose rows no other warp reads.
// Shared memory: (2 rows of queries + 2 tiles of keys) kHeadDim 2 bytes, and a bias for each key.
// Bound: memory up to about 100 keys, mma.sync beyond.
// Reached on an H200, 40 x 75,600 x 128: 2.9 TB/s to 64 keys, 70 % of a copy's rate (0.53 ms; the
//   kernel of dense.cu, a block for each tile, took 0.63); 128 keys 0.81 ms (0.85), 513 keys 2.64
//   (2.66). Left: blocks of 128 threads with 254 registers are two to a multiprocessor, too few to
//   hide all of the memory's latency.
#include <algorithm>

#include "ops/cuda/attention_mma/dense_problem.h"
#include "ops/cuda/attention_mma/launch_tiles.h"

namespace sparsevid::ops::cuda {
namespace {

using NarrowStream = AttentionTiles<64, 2, 64, 2, false, 3>;
using WideStream = AttentionTiles<128, 2, 64, 2, false, 2>;

template <class Tiles>
constexpr int kStreamBytes =
    2 * (Tiles::kQueryBytes + Tiles::kSlotBytes) + kMostFewKeys* static_cast<int>(sizeof(float));

template <class Tiles>
__global__ void __launch_bounds__(kAttentionThreads, Tiles::kBlocks)
    few_keys_kernel(const __grid_constant__ DenseProblem p, const int tiles_of_block) {
  static_assert(Tiles::kSlots == 2 && !Tiles::kKeepQueries);
  extern __shared__ __align__(256) unsigned char memory[];
  auto* biases = reinterpret_cast<float*>(memory + 2 * (Tiles::kQueryBytes + Tiles::kSlotBytes));
  const unsigned queries = shared_address(memory);
  const unsigned ring = queries + 2 * Tiles::kQueryBytes;
  const RowLoader<Tiles::kHeadDim> loader(p.head_dim);
  const int first = static_cast<int>(blockIdx.x) * tiles_of_block * Tiles::kRows;
  const int tiles = min(tiles_of_block, (p.q_len - first + Tiles::kRows - 1) / Tiles::kRows);
  const int key_tiles = (p.k_len + Tiles::kKeys - 1) / Tiles::kKeys;
  const int steps = 2 * key_tiles * tiles;

  int next_step = 0;      // to be loaded
  int next_key_tile = 0;  // of it
  const auto load = [&] {
    if (next_step < steps) {
      const bool values = next_step % 2 != 0;
      loader.template load_range<Tiles::kKeys>(ring + next_step % 2 * Tiles::kSlotBytes,
                                               (values ? p.v : p.k).head(blockIdx.y),
                                               next_key_tile * Tiles::kKeys, p.k_len);
      if (values && ++next_key_tile == key_tiles) next_key_tile = 0;
      ++next_step;
    }
    cp_async_commit();
  };
  const auto load_queries = [&](int tile) {
    if (tile < tiles)
      loader.template load_range<Tiles::kRows>(queries + tile % 2 * Tiles::kQueryBytes,
                                               p.q.head(blockIdx.y), first + tile * Tiles::kRows,
                                               p.q_len);
  };

  load_queries(0);
  load();
  for (int key = threadIdx.x; key < key_tiles * Tiles::kKeys; key += kAttentionThreads)
    biases[key] = key >= p.k_len          ? kMasked
                  : p.key_bias == nullptr ? 0
                                          : p.key_bias[key * p.key_bias_stride] * kLog2E;
  const float factor = p.scale * kLog2E;
  for (int tile = 0; tile < tiles; ++tile) {
    TileMath<Tiles> math;
    for (int key_tile = 0; key_tile < key_tiles; ++key_tile) {
      typename TileMath<Tiles>::Logits logits;
      cp_async_wait<0>();
      __syncthreads();
      load();
      // The other buffer's outputs have left it before the barrier. A group of its own, which need
      // not be complete when the values must be.
      if (key_tile == 0) load_queries(tile + 1);
      cp_async_commit();
      math.multiply_keys(queries + tile % 2 * Tiles::kQueryBytes, ring, logits);
#pragma unroll
      for (int n = 0; n < Tiles::kKeys / 8; ++n) {
        const float2 bias = *reinterpret_cast<const float2*>(
            &biases[key_tile * Tiles::kKeys + 8 * n + 2 * (threadIdx.x % 4)]);
#pragma unroll
        for (int i = 0; i < Tiles::kRowTiles; ++i)
#pragma unroll
          for (int c = 0; c < 4; ++c)
            logits[i][n][c] = fmaf(logits[i][n][c], factor, c % 2 == 0 ? bias.x : bias.y);
      }
      math.softmax.weigh(logits, 1, math.output);
      cp_async_wait<1>();
      __syncthreads();
      load();
      math.add_values(ring + Tiles::kSlotBytes, logits);
    }
    const int row_of_tile = first + tile * Tiles::kRows;
    store_outputs(
        math, memory + tile % 2 * Tiles::kQueryBytes,
        [&](int row) { return row_of_tile + row < p.q_len ? row_of_tile + row : -1; },
        p.out.data + blockIdx.y * p.out.head_stride, p.out.stride, p.head_dim);
  }
}

template <class Tiles>
void launch(const DenseProblem& problem, std::int64_t heads, cudaStream_t stream) {
  const int tiles = ceil_div(problem.q_len, Tiles::kRows);
  // Enough blocks for several rounds, or else one tile each.
  constexpr int kMostTiles = 8;
  constexpr int kRounds = 4;
  const std::int64_t tiles_of_block = std::clamp<std::int64_t>(
      tiles * heads /
          (kRounds * Tiles::kBlocks * static_cast<std::int64_t>(device_facts().multiprocessors)),
      1, kMostTiles);
  const auto kernel = few_keys_kernel<Tiles>;
  allow_shared_memory(kernel, kStreamBytes<Tiles>, "attention");
  const dim3 grid(static_cast<unsigned>(ceil_div<std::int64_t>(tiles, tiles_of_block)),
                  static_cast<unsigned>(heads));
  kernel<<<grid, kAttentionThreads, kStreamBytes<Tiles>, stream>>>(
      problem, static_cast<int>(tiles_of_block));
  check_launch("attention");
}

}  // namespace

void attend_few_keys(const DenseProblem& problem, std::int64_t heads, cudaStream_t stream) {
  if (problem.head_dim <= 64) {
    launch<NarrowStream>(problem, heads, stream);
  } else {
    launch<WideStream>(problem, heads, stream);
  }
}

}  // namespace sparsevid::ops::cuda
