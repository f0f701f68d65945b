// The tensor cores through registers (sm_80 and later): one warp, 16 x 8 x 16, bf16 into f32.
#pragma once

#include "ops/cuda/common/pack_bf16.h"

namespace sparsevid::ops::cuda {

/// sums [16, 8] += a [16, 16] b [16, 8]. With g = lane / 4 and t = lane % 4 a lane holds
///   sums: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)
///   a:    (g, 2t..), (g+8, 2t..), (g, 2t+8..), (g+8, 2t+8..), each two neighbours in a row
///   b:    (2t.., g), (2t+8.., g), each two neighbours in a column
__device__ inline void mma_bf16(float (&sums)[4], const unsigned (&a)[4], unsigned b0,
                                unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace sparsevid::ops::cuda
