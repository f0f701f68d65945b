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

constexpr int kMeanThreads = 1024;

/// The mean of the rows of [heads, count, kDim]; one block a head.
template <int kDim>
__global__ void __launch_bounds__(kMeanThreads)
    mean_of_centroids(const float* centroids, std::int64_t head_stride, int count, float* mean) {
  constexpr int kGroups = kMeanThreads / kDim;
  __shared__ float partial[kMeanThreads];
  const int d = static_cast<int>(threadIdx.x) % kDim;
  const float* column = centroids + blockIdx.x * head_stride + d;
  float sum = 0;
#pragma unroll 8
  for (int c = static_cast<int>(threadIdx.x) / kDim; c < count; c += kGroups)
    sum += column[static_cast<std::int64_t>(c) * kDim];
  partial[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x >= kDim) return;
  sum = 0;
  for (int g = 0; g < kGroups; ++g) sum += partial[g * kDim + d];
  mean[blockIdx.x * kDim + d] = sum / static_cast<float>(count);
}

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
  const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (c >= places) return;
  unsigned char* tile = tiles + (static_cast<std::int64_t>(head) * (places / kTile) + c / kTile) *
                                    static_cast<std::int64_t>(Tile::kBytes);
  const int row = source.row(head, c);
  const float* centroid =
      source.centroids + head * source.head_stride + static_cast<std::int64_t>(row) * kDim;
  float squares = 0;
  float along = 0;
  for (int column = 2 * lane; column < kDim; column += 64) {
    const float2 mean = *reinterpret_cast<const float2*>(means + head * kDim + column);
    float2 value = {0, 0};
    if (row >= 0) value = {centroid[column] - mean.x, centroid[column + 1] - mean.y};
    __nv_bfloat162 rounded = __floats2bfloat162_rn(value.x, value.y);
    const float2 kept = __bfloat1622float2(rounded);
    squares += kept.x * kept.x + kept.y * kept.y;
    along += kept.x * mean.x + kept.y * mean.y;
    if constexpr (Source::kNegative) rounded = __hneg2(rounded);
    *reinterpret_cast<__nv_bfloat162*>(
        tile + Tile::template offset<Source::kExchanged>(c % kTile, column)) = rounded;
  }
  squares = sum_lanes(squares);
  along = sum_lanes(along);
  if (lane == 0)
    reinterpret_cast<float*>(tile + Tile::kMatrixBytes)[c % kTile] =
        source.behind(head, c, .5F * squares, along);
}

template <int kDim, int kTile, typename Source>
void launch_pack_centroids(const Source& source, int heads, int tile_count, unsigned char* tiles,
                           std::string_view op, Context& context) {
  const Arena::Scope scope(context.arena);
  auto* means = context.arena.array<float>(std::int64_t{heads} * kDim);
  mean_of_centroids<kDim><<<heads, kMeanThreads, 0, stream_of(context)>>>(
      source.centroids, source.head_stride, source.clusters, means);
  constexpr int kThreads = 256;
  const int places = tile_count * kTile;
  pack_centroids<kDim, kTile>
      <<<dim3(ceil_div(places, kThreads / 32), heads), kThreads, 0, stream_of(context)>>>(
          source, means, places, tiles);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
