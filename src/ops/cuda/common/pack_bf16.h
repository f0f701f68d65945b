// Two floats as bf16 in one register.
#pragma once

#include <cuda_bf16.h>

namespace sparsevid::ops::cuda {

/// Two floats rounded to bf16, `low` in the lower half.
__device__ inline unsigned pack_bf16(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

}  // namespace sparsevid::ops::cuda
