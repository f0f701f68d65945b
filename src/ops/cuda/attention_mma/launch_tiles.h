// Launches attention_tiles with as much shared memory as it needs.
#pragma once

#include "ops/cuda/attention_mma/tile_loop.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

/// The tiles in use: what was fastest on an H200 (tile_loop.h) without spilling registers. Lean is
/// for sources that need no registers of their own. Wide: 64 < head_dim <= 128.
using LeanNarrowTiles = AttentionTiles<64, 2, 64, 4, false, 3>;
using NarrowTiles = AttentionTiles<64, 2, 64, 4, true, 2>;
using WideTiles = AttentionTiles<128, 2, 64, 3, false, 2>;

template <class Run>
void with_tiles(std::int64_t head_dim, Run&& run) {
  if (head_dim <= 64) {
    run(NarrowTiles());
  } else {
    run(WideTiles());
  }
}

/// `extra_bytes` of shared memory follow the tiles.
template <class Tiles, class Source>
void launch_tiles(const char* op, const typename Source::Problem& problem, dim3 grid,
                  std::size_t extra_bytes, cudaStream_t stream) {
  const auto kernel = attention_tiles<Tiles, Source>;
  const int bytes = Tiles::kBytes + static_cast<int>(extra_bytes);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), op);
  kernel<<<grid, kAttentionThreads, bytes, stream>>>(problem);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
