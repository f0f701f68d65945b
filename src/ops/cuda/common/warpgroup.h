// What warps and warpgroups need to work in different roles.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

inline constexpr int kWarpgroupThreads = 128;

/// The thread's warpgroup, in a form that the compiler knows to be the same in the whole warp, so
/// that what follows from it needs no registers of the threads.
__device__ inline int this_warpgroup() {
  return __shfl_sync(~0u, static_cast<int>(threadIdx.x) / kWarpgroupThreads, 0);
}

/// Registers a thread of this warpgroup may use from here on; all its warps must call it.
template <int kRegisters>
__device__ void give_up_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Barriers 1 to 15 of the block; 0 is __syncthreads. `threads` counts those that arrive and those
/// that wait.
__device__ inline void named_barrier_wait(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
__device__ inline void named_barrier_arrive(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

__device__ inline std::uint32_t cluster_rank() {
  std::uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ inline void cluster_sync() {
  asm volatile(
      "barrier.cluster.arrive.release.aligned;\n"
      "barrier.cluster.wait.acquire.aligned;" ::
          : "memory");
}

/// Makes shared memory written by ordinary stores and cp.async visible to the tensor cores and the
/// copy engine.
__device__ inline void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Between ordinary loads from shared memory and the arrival that lets the copy engine overwrite
/// what they read. Nothing waits for the loads before the arrival otherwise, and it overtakes them
/// by more than a copy takes that hits the L2 cache.
__device__ inline void loads_before_copies() { fence_async_proxy(); }

}  // namespace sparsevid::ops::cuda
