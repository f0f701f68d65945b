// Queries, keys and values of dense attention rounded to 8 bits, in tiles (tile.h).
//
// The problem: 2.3 GB of bf16 to 1.2 GB at 40 x 75,600 x 128, values read twice, as their
//   means come first.
// Plan: head_statistics.h, then one kernel whose blocks take a tile each of queries, keys or
//   values. A tile of keys has a scale of its own.
// Bound: memory.
#pragma once

#include "core/arena.h"
#include "ops/attention_8bit.h"
#include "ops/cuda/attention_hopper_8bit/head_statistics.h"

namespace sparsevid::ops::cuda {

struct Round8Arguments {
  HeadRows q;
  HeadRows k;
  HeadRows v;
  unsigned char* q_image;
  unsigned char* k_image;
  unsigned char* v_image;
  float* q_scale;
  float* k_scale;
  float* v_lost;  // [heads, k_tiles, head_dim], in units of v_scale
  HeadStatistics statistics;
  int q_rows;
  int q_blocks;
  int k_tiles;
};

/// Warps that round a tile of keys, 16 each.
template <class Tile>
inline constexpr int kRoundWarps = Tile::kAtoms;

template <class Tile>
__device__ void round_tile_of_queries(const Round8Arguments& a, std::int64_t head, int tile) {
  constexpr int kHeadDim = Tile::kHeadDim;
  const int lane = threadIdx.x % 32;
  const int first = tile * Tile::kKeys + static_cast<int>(threadIdx.x) / 32 * 16 + lane / 4;
  const auto row_of = [&](int row) { return row < a.q.rows ? a.q.row(head, row) : nullptr; };
  const __nv_bfloat16* const rows[2] = {row_of(first), row_of(first + 8)};
  RotatedRows<kHeadDim> x;
  load_rotated<kHeadDim>({}, rows, x);
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float largest = largest_of_lanes(largest_magnitude(x[h]), 3);
    if (first + 8 * h >= a.q_rows) continue;
    const std::int64_t at = head * a.q_rows + first + 8 * h;
    store_query<kHeadDim>(x[h], inverse_scale(largest), a.q_image + at * kHeadDim);
    if (lane % 4 == 0) a.q_scale[at] = largest / kLargestInt8;
  }
}

template <class Tile>
__device__ void round_tile_of_keys(const Round8Arguments& a, std::int64_t head, int tile) {
  constexpr int kHeadDim = Tile::kHeadDim;
  __shared__ float warps[kRoundWarps<Tile>];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int first = tile * Tile::kKeys + warp * 16 + threadIdx.x % 32 / 4;
  const auto row_of = [&](int row) { return a.k.row(head, min(row, a.k.rows - 1)); };
  const __nv_bfloat16* const rows[2] = {row_of(first), row_of(first + 8)};
  RotatedRows<kHeadDim> x;
  load_keys<kHeadDim>({}, rows, a.statistics.k_rotated_mean + head * kHeadDim, x);
  float largest = largest_of_lanes(fmaxf(largest_magnitude(x[0]), largest_magnitude(x[1])), 31);
  if (threadIdx.x % 32 == 0) warps[warp] = largest;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kRoundWarps<Tile>; ++i) largest = fmaxf(largest, warps[i]);
  const std::int64_t at = head * a.k_tiles + tile;
  unsigned char* image = a.k_image + at * Tile::kKeyBytes;
  store_keys<kHeadDim>(x, inverse_scale(largest), image + warp * key_atom_bytes(kHeadDim));
  if (threadIdx.x == 0) a.k_scale[at] = largest / kLargestInt8;
}

/// A tile by all threads of the block, which have some atoms each in turn.
template <class Tile>
__device__ void round_tile_of_values(const Round8Arguments& a, std::int64_t head, int tile) {
  constexpr int kHeadDim = Tile::kHeadDim;
  constexpr int kAtThreads = threads_per_value_atom(kHeadDim);
  unsigned char* const image = a.v_image + (head * a.k_tiles + tile) * Tile::kValueBytes;
  float2 lost = make_float2(0, 0);
  for (int i = static_cast<int>(threadIdx.x) / kAtThreads; i < Tile::kAtoms;
       i += 32 * kRoundWarps<Tile> / kAtThreads) {
    const int atom = tile * Tile::kAtoms + i;
    const auto row_of = [&](int j) { return atom * kAtomKeys + j; };
    const float2 more = round_values<kHeadDim>(
        [&](int j, int pair) {
          const auto* row =
              reinterpret_cast<const __nv_bfloat162*>(a.v.row(head, min(row_of(j), a.v.rows - 1)));
          return __bfloat1622float2(row[pair]);
        },
        [&](int j) { return row_of(j) < a.v.rows; },
        {a.statistics.v_mean + head * kHeadDim, a.statistics.v_scale + head * kHeadDim}, atom,
        image + i * value_atom_bytes(kHeadDim));
    lost.x += more.x;
    lost.y += more.y;
  }
  store_lost<kHeadDim>(lost, a.v_lost + (head * a.k_tiles + tile) * kHeadDim);
}

/// Blocks (head, tile of queries, then of keys, then of values).
template <class Tile>
__global__ void __launch_bounds__(32 * kRoundWarps<Tile>)
    round_to_8bit(const __grid_constant__ Round8Arguments a) {
  const std::int64_t head = blockIdx.x;
  const int tile = blockIdx.y;
  if (tile < a.q_blocks)
    round_tile_of_queries<Tile>(a, head, tile);
  else if (tile < a.q_blocks + a.k_tiles)
    round_tile_of_keys<Tile>(a, head, tile - a.q_blocks);
  else
    round_tile_of_values<Tile>(a, head, tile - a.q_blocks - a.k_tiles);
}

/// Of some heads. The last tile of keys is filled with copies of the last key that have no weight.
struct Prepared8 {
  unsigned char* q;  // [heads, q_rows, head_dim]
  unsigned char* k;  // [heads, k_tiles] tiles
  unsigned char* v;  // [heads, k_tiles] tiles
  float* q_scale;    // [heads, q_rows]; products of int8 times both scales are head_dim q . k
  float* k_scale;    // [heads, k_tiles]
  float* v_scale;    // [heads, head_dim]
  float* v_mean;     // [heads, head_dim]
  int q_rows;        // a multiple of what a cluster of blocks takes
  int k_tiles;
};

template <class Tile>
class Preparation {
 public:
  Preparation(const Attention8bitParams& params, int row_multiple)
      : params_(params),
        q_rows_(ceil_div(static_cast<int>(params.q.size(1)), row_multiple) * row_multiple),
        k_tiles_(ceil_div(static_cast<int>(params.k.size(1)), Tile::kKeys)) {}

  /// Of scratch for one head.
  std::size_t bytes() const {
    return static_cast<std::size_t>(q_rows_) * (kHeadDim + sizeof(float)) +
           static_cast<std::size_t>(k_tiles_) *
               (Tile::kKeyBytes + Tile::kValueBytes + (kHeadDim + 1) * sizeof(float)) +
           statistics_bytes(static_cast<int>(params_.k.size(1)), kHeadDim);
  }

  /// Queues the rounding of heads [first, first + heads).
  Prepared8 run(std::int64_t first, int heads, Arena& arena, cudaStream_t stream) const {
    const std::int64_t tiles = static_cast<std::int64_t>(heads) * k_tiles_;
    Prepared8 to{};
    to.q_rows = q_rows_;
    to.k_tiles = k_tiles_;
    to.q = arena.array<unsigned char>(static_cast<std::int64_t>(heads) * q_rows_ * kHeadDim);
    to.k = arena.array<unsigned char>(tiles * Tile::kKeyBytes);
    to.v = arena.array<unsigned char>(tiles * Tile::kValueBytes);
    to.q_scale = arena.array<float>(static_cast<std::int64_t>(heads) * q_rows_);
    to.k_scale = arena.array<float>(tiles);
    const auto lost = arena.array<float>(tiles * kHeadDim);
    const HeadRows q = head_rows_from(params_.q, first);
    const HeadRows k = head_rows_from(params_.k, first);
    const HeadRows v = head_rows_from(params_.v, first);
    const HeadStatistics statistics = head_statistics<kHeadDim>(k, v, heads, arena, stream);
    to.v_scale = statistics.v_scale;
    to.v_mean = statistics.v_mean;
    const int q_blocks = ceil_div(q_rows_, Tile::kKeys);
    const dim3 grid(static_cast<unsigned>(heads), static_cast<unsigned>(q_blocks + 2 * k_tiles_));
    round_to_8bit<Tile><<<grid, 32 * kRoundWarps<Tile>, 0, stream>>>(
        {q, k, v, to.q, to.k, to.v, to.q_scale, to.k_scale, lost, statistics, q_rows_, q_blocks,
         k_tiles_});
    check_launch("attention_8bit");
    correct_means<kHeadDim>
        <<<heads, 1024, 0, stream>>>(lost, k_tiles_, k.rows, to.v_scale, to.v_mean);
    check_launch("attention_8bit");
    return to;
  }

 private:
  static constexpr int kHeadDim = Tile::kHeadDim;

  const Attention8bitParams& params_;
  int q_rows_;
  int k_tiles_;
};

}  // namespace sparsevid::ops::cuda
