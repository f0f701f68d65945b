// Launches attention_tiles with as much shared memory as it needs.
#pragma once

#include "ops/cuda/attention_mma/tile_loop.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

/// The tiles in use, all without spilled registers on sm_80 to sm_90. Wide: 64 < head_dim <= 128.
///
/// What was tried on an H200, in TFLOP/s of dense attention (FlashAttention-2 in PyTorch 2.11, same
/// run: 365 for 12 x 32,760 x 128, 306 for 24 x 20,000 x 64):
///   head_dim 128, 128 rows, 64 keys: 381 with 3 slots, 375 with 2, 364 with 4 (an earlier version
///   of the loop, 369 with 3); 32 keys, 4 slots: 321; 48 keys, 2 slots: 358; 64 rows: 282, ldmatrix
///   binds.
///   head_dim 64, 128 rows, 64 keys, three blocks to a multiprocessor: 328 with 2 slots, 327 with
///   3, 324 with 4; two blocks and queries in registers: 291; two blocks, 128 keys: 293.
using NarrowTiles = AttentionTiles<64, 2, 64, 2, false, 3>;
using WideTiles = AttentionTiles<128, 2, 64, 3, false, 2>;
/// For GPUs with 100 KB of shared memory (8.6, 8.9, 12.0), where only one block of the others would
/// fit at a time. Not measured there.
using CompactWideTiles = AttentionTiles<128, 2, 32, 2, false, 2>;

inline bool fit_twice(int bytes) { return 2 * bytes < device_facts().shared_memory_per_block; }

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
  allow_shared_memory(kernel, bytes, op);
  kernel<<<grid, kAttentionThreads, bytes, stream>>>(problem);
  check_launch(op);
}

}  // namespace sparsevid::ops::cuda
