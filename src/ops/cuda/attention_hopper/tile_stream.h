// The tiles of keys and values that come through shared memory, as a computing warp sees them.
#pragma once

#include <iterator>

#include "ops/cuda/common/mbarrier.h"

namespace sparsevid::ops::cuda {

/// Barriers of the tiles: `k_arrivals` and `v_arrivals` fill one, `releases` empty it.
template <class Shared>
__device__ void init_tile_barriers(Shared& shared, int k_arrivals, int v_arrivals, int releases) {
  for (std::size_t stage = 0; stage < std::size(shared.k_full); ++stage) {
    barrier_init(&shared.k_full[stage], k_arrivals);
    barrier_init(&shared.v_full[stage], v_arrivals);
    barrier_init(&shared.k_empty[stage], releases);
    barrier_init(&shared.v_empty[stage], releases);
  }
}

/// For attend(), with what is done to the logits of a tile to be added. Each tile of a cluster of
/// `kBlocks` blocks is released at all of them.
template <class Shared, int kBlocks = 1>
class TileStream {
 public:
  __device__ explicit TileStream(Shared& shared) : shared_(shared) {}

  __device__ void restart(int tiles) { left_ = tiles; }
  /// Whether the tile waited for last is the last one.
  __device__ bool last() const { return left_ == 0; }
  __device__ void wait_k(int stage, std::uint32_t parity) {
    barrier_wait(&shared_.k_full[stage], parity);
    --left_;
  }
  __device__ void wait_v(int stage, std::uint32_t parity) {
    barrier_wait(&shared_.v_full[stage], parity);
  }
  __device__ void release_k(int stage) { release(&shared_.k_empty[stage]); }
  __device__ void release_v(int stage) { release(&shared_.v_empty[stage]); }

 protected:
  Shared& shared_;
  int left_ = 0;

 private:
  // Each warp has waited for its own share of a product only, so each arrives.
  __device__ static void release(Barrier* barrier) {
    const std::uint32_t lane = threadIdx.x % 32;
    if constexpr (kBlocks == 1) {
      if (lane == 0) barrier_arrive(barrier);
    } else {
      if (lane < kBlocks) barrier_arrive_at(barrier, lane);
    }
  }
};

}  // namespace sparsevid::ops::cuda
