// Rounds centroids to bf16 and lays them out as centroid_tiles.h says.
//
// What is rounded is their distance from the mean of a head's centroids: neither the nearest one
// nor a softmax over them changes when all move by one vector, and the keys of real models have a
// common mean many times their spread, which would leave few bits for it. One warp a centroid; a
// few microseconds for 40 x 1,000 of them.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/kmeans_hopper/centroid_tiles.h"

namespace sparsevid::ops::cuda {

constexpr int kMeanColumns = 32;  // of a block
constexpr int kMeanAtOnce = 32;   // rows that a thread asks for before it waits

/// The mean of the rows of [heads, count, kDim]; [kDim / kMeanColumns, heads] blocks.
template <int kDim>
__global__ void __launch_bounds__(1024 / kDim * kMeanColumns)
    mean_of_centroids(const float* centroids, std::int64_t head_stride, int count, float* mean) {
  constexpr int kGroups = 1024 / kDim;
  __shared__ float partial[kGroups][kMeanColumns];
  const int group = static_cast<int>(threadIdx.x) / kMeanColumns;
  const int d = static_cast<int>(blockIdx.x * kMeanColumns + threadIdx.x % kMeanColumns);
  const float* column = centroids + blockIdx.y * head_stride + d;
  float sum = 0;
  for (int first = group; first < count; first += kMeanAtOnce * kGroups) {
    float values[kMeanAtOnce];
#pragma unroll
    for (int i = 0; i < kMeanAtOnce; ++i) {
      const int c = first + i * kGroups;
      values[i] = c < count ? column[static_cast<std::int64_t>(c) * kDim] : 0;
    }
#pragma unroll
    for (const float value : values) sum += value;
  }
  partial[group][threadIdx.x % kMeanColumns] = sum;
  __syncthreads();
  if (group > 0) return;
  sum = 0;
#pragma unroll
  for (const auto& of_group : partial) sum += of_group[threadIdx.x];
  mean[blockIdx.y * kDim + d] = sum / static_cast<float>(count);
}

constexpr int kPackedAtOnce = 4;  // centroids of a warp

/// Source: a type with
///   bool skip(head)
///   int row(head, c): the centroid that stands in the place of c, or -1 for zeros; a warp asks
///   const float* centroids; std::int64_t head_stride; int clusters
///   static constexpr bool kNegative: centroids are stored with the opposite sign
///   static constexpr bool kExchanged: columns as rows in registers need them
///   float behind(head, c, half_norm, along): the float of c, from half its squared norm and its
///     product with the mean, both after rounding and without the mean
template <int kDim, int kTile, typename Source>
__global__ void pack_centroids(const Source source, const float* means, int places,
                               unsigned char* tiles) {
  using Tile = CentroidTile<kDim, kTile>;
  const int head = static_cast<int>(blockIdx.y);
  if (source.skip(head)) return;
  const int first = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32 * kPackedAtOnce;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (first >= places) return;
  static_assert(kTile % kPackedAtOnce == 0);
  unsigned char* tile =
      tiles + (static_cast<std::int64_t>(head) * (places / kTile) + first / kTile) *
                  static_cast<std::int64_t>(Tile::kBytes);
  constexpr int kPairs = kDim / 64;
  float2 mean[kPairs];
#pragma unroll
  for (int i = 0; i < kPairs; ++i)
    mean[i] = *reinterpret_cast<const float2*>(means + head * kDim + 64 * i + 2 * lane);
  float2 values[kPackedAtOnce][kPairs] = {};  // all asked for before any is used
  bool empty[kPackedAtOnce];
#pragma unroll
  for (int n = 0; n < kPackedAtOnce; ++n) {
    const int row = source.row(head, first + n);
    const float* centroid =
        source.centroids + head * source.head_stride + static_cast<std::int64_t>(row) * kDim;
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      const int column = 64 * i + 2 * lane;
      if (row >= 0) values[n][i] = {centroid[column], centroid[column + 1]};
    }
    empty[n] = row < 0;
  }
  float squares[kPackedAtOnce] = {};
  float along[kPackedAtOnce] = {};
#pragma unroll
  for (int n = 0; n < kPackedAtOnce; ++n) {
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      float2 value = {values[n][i].x - mean[i].x, values[n][i].y - mean[i].y};
      if (empty[n]) value = {0, 0};
      __nv_bfloat162 rounded = __floats2bfloat162_rn(value.x, value.y);
      const float2 kept = __bfloat1622float2(rounded);
      squares[n] += kept.x * kept.x + kept.y * kept.y;
      along[n] += kept.x * mean[i].x + kept.y * mean[i].y;
      if constexpr (Source::kNegative) rounded = __hneg2(rounded);
      *reinterpret_cast<__nv_bfloat162*>(tile + Tile::template offset<Source::kExchanged>(
                                                    (first + n) % kTile, 64 * i + 2 * lane)) =
          rounded;
    }
  }
#pragma unroll
  for (int n = 0; n < kPackedAtOnce; ++n) {
    squares[n] = sum_lanes(squares[n]);
    along[n] = sum_lanes(along[n]);
  }
#pragma unroll
  for (int n = 0; n < kPackedAtOnce; ++n)
    if (lane == n)
      reinterpret_cast<float*>(tile + Tile::kMatrixBytes)[(first + n) % kTile] =
          source.behind(head, first + n, .5F * squares[n], along[n]);
}

template <int kDim, int kTile, typename Source>
void launch_pack_centroids(const Source& source, int heads, int tile_count, unsigned char* tiles,
                           std::string_view op, Context& context) {
  const Arena::Scope scope(context.arena);
  auto* means = context.arena.array<float>(std::int64_t{heads} * kDim);
  mean_of_centroids<kDim>
      <<<dim3(kDim / kMeanColumns, heads), 1024 / kDim * kMeanColumns, 0, stream_of(context)>>>(
          source.centroids, source.head_stride, source.clusters, means);
  constexpr int kThreads = 256;
  const int places = tile_count * kTile;
  pack_centroids<kDim, kTile><<<dim3(ceil_div(places, kThreads / 32 * kPackedAtOnce), heads),
                                kThreads, 0, stream_of(context)>>>(source, means, places, tiles);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
