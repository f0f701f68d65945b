// Copies from global to shared memory that do not pass through registers (sm_80 and later).
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

/// The address that instructions on shared memory take.
__device__ inline unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// 16 bytes, both sides aligned to them; zeros, and nothing is read, unless `inside`.
__device__ inline void cp_async_16(unsigned to, const void* from, bool inside) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(inside ? 16 : 0)
               : "memory");
}

/// 4 bytes; zeros, and nothing is read, unless `inside`.
__device__ inline void cp_async_4(unsigned to, const void* from, bool inside) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from),
               "r"(inside ? 4 : 0)
               : "memory");
}

/// Closes a group of copies; an empty group is complete at once.
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most the `kPending` youngest groups of this thread are incomplete.
template <int kPending>
__device__ inline void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace sparsevid::ops::cuda
