// Norms of rows that are not aligned, or longer than the other kernel takes: read once for each
// sum, an element at a time. No model has such rows.
#pragma once

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/norm_rows/problem.h"

namespace sparsevid::ops::cuda::norm_rows {

constexpr int kAnyThreads = 256;

// In pairs, which is what a rotation needs; an odd last element is a pair of its own.
template <typename In, typename Out, Statistic kStatistic>
__global__ void __launch_bounds__(kAnyThreads) norm_any_rows_kernel(NormRows p) {
  __shared__ float partial[2][32];
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const In* x = static_cast<const In*>(p.x) + row * p.x_stride;
    Out* out = static_cast<Out*>(p.out) + row * p.out_stride;
    const auto count = static_cast<float>(p.dim);
    float mean = 0;
    if constexpr (kStatistic == Statistic::layer) {
      float sum = 0;
      for (std::int64_t i = threadIdx.x; i < p.dim; i += kAnyThreads) sum += to_float(x[i]);
      mean = sum_block(sum, partial[0]) / count;
    }
    float squares = 0;
    for (std::int64_t i = threadIdx.x; i < p.dim; i += kAnyThreads) {
      const float value = to_float(x[i]) - mean;
      squares += value * value;
    }
    const float factor = rsqrtf(sum_block(squares, partial[1]) / count + p.epsilon);
    const auto normed = [&](std::int64_t i) {
      const float scale = p.scale != nullptr ? p.scale[i] + p.scale_offset : 1.0F;
      const float shift = p.shift != nullptr ? p.shift[i] : 0.0F;
      return (to_float(x[i]) - mean) * factor * scale + shift;
    };
    for (std::int64_t i = 2 * threadIdx.x; i < p.dim; i += 2 * kAnyThreads) {
      const float even = normed(i);
      const float odd = i + 1 < p.dim ? normed(i + 1) : 0.0F;
      float cosine = 1;
      float sine = 0;
      if (p.cos != nullptr) {
        const std::int64_t at = row * p.half_head + i / 2 % p.half_head;
        cosine = p.cos[at];
        sine = p.sin[at];
      }
      out[i] = from_float<Out>(even * cosine - odd * sine);
      if (i + 1 < p.dim) out[i + 1] = from_float<Out>(even * sine + odd * cosine);
    }
    __syncthreads();  // `partial` is free again
  }
}

}  // namespace sparsevid::ops::cuda::norm_rows
