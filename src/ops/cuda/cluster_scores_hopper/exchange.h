// Bytes sent into the shared memory of another block of the cluster, counted by a barrier there.
#pragma once

#include <cstdint>

#include "ops/cuda/common/mbarrier.h"

namespace sparsevid::ops::cuda {

/// Copies `bytes` of shared memory, a multiple of 16, to the same place in block `rank`, and counts
/// them on its barrier once they are there. What was written by ordinary stores needs
/// fence_async_proxy before.
__device__ inline void copy_to_block(const void* place, std::uint32_t bytes, Barrier* barrier,
                                     int rank) {
  asm volatile(
      "{\n"
      ".reg .b32 place, barrier;\n"
      "mapa.shared::cluster.u32 place, %0, %3;\n"
      "mapa.shared::cluster.u32 barrier, %2, %3;\n"
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [place], [%0], %1, "
      "[barrier];\n"
      "}\n" ::"r"(shared_address(place)),
      "r"(bytes), "r"(shared_address(barrier)), "r"(rank)
      : "memory");
}

}  // namespace sparsevid::ops::cuda
