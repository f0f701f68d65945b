// From the accumulators of a 64-row tile to rows of bf16 in global memory.
#pragma once

#include <cuda_bf16.h>

#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda {

/// Each of four neighbouring threads holds a fourth of four values; afterwards thread i holds all
/// of value i.
__device__ inline void transpose_quad(std::uint32_t (&x)[4], int lane) {
#pragma unroll
  for (int distance = 2; distance >= 1; distance /= 2) {
    const bool upper = lane & distance;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i & distance) continue;
      const std::uint32_t sent = upper ? x[i] : x[i + distance];
      const std::uint32_t received = __shfl_xor_sync(~0u, sent, distance);
      if (upper)
        x[i] = received;
      else
        x[i + distance] = received;
    }
  }
}

/// o (layout in wgmma.h) times factor(h), to rows[h], where that is not null.
template <int kCount, class Factor>
__device__ void store_rows(const float (&o)[kCount], Factor factor,
                           __nv_bfloat16* const (&rows)[2]) {
  const int lane = threadIdx.x % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float f = factor(h);
#pragma unroll
    for (int blocks = 0; blocks < kCount / 4; blocks += 4) {
      std::uint32_t x[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        x[i] = pack_bf16(o[4 * (blocks + i) + 2 * h] * f, o[4 * (blocks + i) + 2 * h + 1] * f);
      transpose_quad(x, lane);
      if (rows[h] != nullptr)
        *reinterpret_cast<uint4*>(rows[h] + 8 * (blocks + lane)) =
            make_uint4(x[0], x[1], x[2], x[3]);
    }
  }
}

}  // namespace sparsevid::ops::cuda
