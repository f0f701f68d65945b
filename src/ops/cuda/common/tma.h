// Asynchronous copies from global to shared memory that complete on a barrier.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "ops/cuda/common/mbarrier.h"

namespace sparsevid::ops::cuda {

/// What the L2 cache should do with the lines of a copy: keep them, or give them up first.
__device__ inline std::uint64_t l2_keep() {
  std::uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
__device__ inline std::uint64_t l2_give_up() {
  std::uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

/// The box of `map` at these coordinates, innermost first; parts outside the tensor arrive as
/// zeros.
__device__ inline void copy_box(void* shared, const CUtensorMap& map, Barrier* barrier, int x,
                                int y, int z, int w, std::uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w), "l"(policy)
      : "memory");
}

/// As copy_box, to the same place of every block of the cluster named in `blocks`, one bit each,
/// and to the barrier of each.
__device__ inline void copy_box_to_blocks(void* shared, const CUtensorMap& map, Barrier* barrier,
                                          int x, int y, int z, int w, std::uint16_t blocks,
                                          std::uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster.L2::cache_hint [%0], [%1, {%3, %4, %5, %6}], [%2], %7, %8;" ::"r"(
          shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w), "h"(blocks),
      "l"(policy)
      : "memory");
}

/// Contiguous bytes, a multiple of 16.
__device__ inline void copy_bytes(void* shared, const void* global, std::uint32_t bytes,
                                  Barrier* barrier, std::uint64_t policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint"
      " [%0], [%1], %2, [%3], %4;" ::"r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier)), "l"(policy)
      : "memory");
}

/// A box from shared memory to `map`, but for what lies outside, as a bulk group of its own.
__device__ inline void store_box(const CUtensorMap& map, const void* shared, int x, int y, int z,
                                 int w) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];\n"
      "cp.async.bulk.commit_group;" ::"l"(&map),
      "r"(shared_address(shared)), "r"(x), "r"(y), "r"(z), "r"(w)
      : "memory");
}

/// Until this thread's bulk groups have read shared memory, and until they have written memory.
__device__ inline void wait_until_stores_read() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
__device__ inline void wait_for_stores() {
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

/// As copy_bytes, to the same place of every block of the cluster named in `blocks`, one bit each,
/// and to the barrier of each.
__device__ inline void copy_bytes_to_blocks(void* shared, const void* global, std::uint32_t bytes,
                                            Barrier* barrier, std::uint16_t blocks,
                                            std::uint64_t policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      ".L2::cache_hint [%0], [%1], %2, [%3], %4, %5;" ::"r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier)), "h"(blocks), "l"(policy)
      : "memory");
}

/// 16 bytes, or zeros where `valid` is false, as a thread's own cp.async.
__device__ inline void copy_16_bytes(std::uint32_t shared, const void* global, bool valid,
                                     std::uint64_t policy) {
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2, %3;" ::"r"(shared),
               "l"(global), "r"(valid ? 16 : 0), "l"(policy)
               : "memory");
}

}  // namespace sparsevid::ops::cuda
