// Barriers in shared memory that count arrivals of threads and bytes of asynchronous copies.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

using Barrier = std::uint64_t;  // lives in shared memory

__device__ inline std::uint32_t shared_address(const void* shared) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

__device__ inline void barrier_init(Barrier* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals));
}

/// Makes initialised barriers visible to the copy engine and to the cluster; a barrier of the
/// threads must follow.
__device__ inline void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ inline void barrier_arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

/// Arrives at the barrier of the same place in block `rank` of the cluster: that this thread is
/// done reading, so it orders no stores (a release of the cluster's scope costs a fence of the
/// whole GPU).
__device__ inline void barrier_arrive_at(Barrier* barrier, std::uint32_t rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
      "}\n" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}

/// Arrives and lets the phase wait for `bytes` more of asynchronous copies.
__device__ inline void barrier_arrive_expect(Barrier* barrier, std::uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

/// Arrives once the cp.async copies that this thread has started are complete.
__device__ inline void barrier_arrive_after_copies(Barrier* barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

/// Waits until the phase of this parity is complete. A fresh barrier is in phase 0, and the phase
/// before it, of parity 1, counts as complete.
__device__ inline void barrier_wait(Barrier* barrier, std::uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra.uni complete;\n"
      "bra.uni again;\n"
      "complete:\n"
      "}\n" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

/// The turn of a buffer of `kStages` places, the same in the threads that fill and that empty it.
template <int kStages>
struct PipelineTurn {
  int stage = 0;
  std::uint32_t parity = 0;

  __device__ void advance() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
  /// At most kStages.
  __device__ void go_back(int stages) {
    stage -= stages;
    if (stage < 0) {
      stage += kStages;
      parity ^= 1;
    }
  }
};

}  // namespace sparsevid::ops::cuda
