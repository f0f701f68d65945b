// Work handed out to a block while it runs: one warp takes it, all others are told.
#pragma once

#include "ops/cuda/common/mbarrier.h"

namespace sparsevid::ops::cuda {

inline constexpr int kWorkSlots = 2;

/// `Work` has a `head`; < 0: there is no more.
template <class Work>
struct WorkSlots {
  Work work[kWorkSlots];
  Barrier full[kWorkSlots];
  Barrier empty[kWorkSlots];

  /// `warps` call for_each_work, one more hand_out_work.
  __device__ void init(int warps) {
    for (int slot = 0; slot < kWorkSlots; ++slot) {
      barrier_init(&full[slot], 1);
      barrier_init(&empty[slot], warps);
    }
  }
};

/// For one warp: take(work) fills in the next piece, use(work) is what this warp does for it.
template <class Work, class Take, class Use>
__device__ void hand_out_work(WorkSlots<Work>& slots, Take take, Use use) {
  PipelineTurn<kWorkSlots> turn;
  while (true) {
    barrier_wait(&slots.empty[turn.stage], turn.parity ^ 1);
    Work& work = slots.work[turn.stage];
    if (threadIdx.x % 32 == 0) {
      take(work);
      barrier_arrive(&slots.full[turn.stage]);
    }
    __syncwarp();
    if (work.head < 0) break;
    use(work);
    turn.advance();
  }
}

/// Calls use(work) for every piece of work handed to this block, in order.
template <class Work, class Use>
__device__ void for_each_work(WorkSlots<Work>& slots, Use use) {
  PipelineTurn<kWorkSlots> turn;
  while (true) {
    barrier_wait(&slots.full[turn.stage], turn.parity);
    const Work& work = slots.work[turn.stage];
    if (work.head < 0) break;
    use(work);
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(&slots.empty[turn.stage]);
    turn.advance();
  }
}

}  // namespace sparsevid::ops::cuda
