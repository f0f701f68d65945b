// Asynchronous copies from global to shared memory that complete on a barrier.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "ops/cuda/common/mbarrier.h"

namespace sparsevid::ops::cuda {

__device__ inline void prefetch_tensor_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

/// The box of `map` at these coordinates, innermost first; parts outside the tensor arrive as
/// zeros.
__device__ inline void copy_box(void* shared, const CUtensorMap& map, Barrier* barrier, int x,
                                int y, int z, int w) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w)
      : "memory");
}

/// The same, to the same place of every block of the cluster named in `blocks`, one bit each, and
/// to the barrier of each.
__device__ inline void copy_box_to_blocks(void* shared, const CUtensorMap& map, Barrier* barrier,
                                          int x, int y, int z, int w, std::uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w), "h"(blocks)
      : "memory");
}

/// Contiguous bytes, a multiple of 16.
__device__ inline void copy_bytes(void* shared, const void* global, std::uint32_t bytes,
                                  Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

/// 16 bytes, or zeros where `valid` is false, as a thread's own cp.async.
__device__ inline void copy_16_bytes(std::uint32_t shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}

}  // namespace sparsevid::ops::cuda
