// Rounds centroids to bf16 and lays them out as centroid_tiles.h says. One warp a centroid; a few
// microseconds for 40 x 1,000 of them.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/kmeans_hopper/centroid_tiles.h"

namespace sparsevid::ops::cuda {

/// Source: a type with
///   bool skip(head)
///   int row(head, c): the centroid that stands in the place of c, or -1 for zeros; a warp asks
///   const float* centroid(head, row)
///   static constexpr float kSign: what centroids are multiplied by
///   float behind(head, c, half_norm): the float of c, from half its squared norm after rounding
template <int kDim, int kTile, typename Source>
__global__ void pack_centroids(const Source source, int places, unsigned char* tiles) {
  using Tile = CentroidTile<kDim, kTile>;
  const int head = static_cast<int>(blockIdx.y);
  if (source.skip(head)) return;
  const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (c >= places) return;
  unsigned char* tile = tiles + (static_cast<std::int64_t>(head) * (places / kTile) + c / kTile) *
                                    static_cast<std::int64_t>(Tile::kBytes);
  const int row = source.row(head, c);
  float squares = 0;
  for (int column = 2 * lane; column < kDim; column += 64) {
    float2 value = {0, 0};
    if (row >= 0) value = reinterpret_cast<const float2*>(source.centroid(head, row))[column / 2];
    const __nv_bfloat162 rounded =
        __floats2bfloat162_rn(Source::kSign * value.x, Source::kSign * value.y);
    const float2 kept = __bfloat1622float2(rounded);
    squares += kept.x * kept.x + kept.y * kept.y;
    *reinterpret_cast<__nv_bfloat162*>(tile + Tile::offset(c % kTile, column)) = rounded;
  }
  squares = sum_lanes(squares);
  if (lane == 0)
    reinterpret_cast<float*>(tile + Tile::kMatrixBytes)[c % kTile] =
        source.behind(head, c, .5F * squares);
}

template <int kDim, int kTile, typename Source>
void launch_pack_centroids(const Source& source, int heads, int tile_count, unsigned char* tiles,
                           std::string_view op, const Context& context) {
  constexpr int kThreads = 256;
  const int places = tile_count * kTile;
  pack_centroids<kDim, kTile>
      <<<dim3(ceil_div(places, kThreads / 32), heads), kThreads, 0, stream_of(context)>>>(
          source, places, tiles);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
