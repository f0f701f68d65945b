// Softmax of rows of logits that lie in memory, with any bias or mask, a block for each row.
#pragma once

#include <cstdint>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

constexpr int kSoftmaxThreads = 256;

struct LogitRows {
  float* logits;        ///< [heads, rows, stride]
  std::int64_t stride;  ///< what follows the columns is set to zero weights
  int columns, rows;
  int first_head, first_row;  ///< what `Adjust` is told is counted from these
  float scale;
  float* row_factors;  ///< [heads, rows], written: 1 / sum of the weights, 0 if all are masked
};

template <class Combine>
__device__ float over_block(float value, const Combine& combine) {
  __shared__ float of_warps[kSoftmaxThreads / 32];
  for (int step = 16; step > 0; step /= 2)
    value = combine(value, __shfl_xor_sync(0xffffffffU, value, step));
  __syncthreads();
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warps[0];
  for (int w = 1; w < kSoftmaxThreads / 32; ++w) value = combine(value, of_warps[w]);
  return value;
}

/// Weights, not yet divided by their sum, as Weight; they may take the place of the logits.
template <class Weight, class Adjust>
__global__ void __launch_bounds__(kSoftmaxThreads)
    softmax_rows_kernel(const LogitRows p, Weight* all_weights, const Adjust adjust) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * p.rows + blockIdx.x;
  float* logits = p.logits + row * p.stride;
  Weight* weights = all_weights + row * p.stride;
  const int head = p.first_head + blockIdx.y;
  const int query = p.first_row + blockIdx.x;
  float top = -INFINITY;
  for (int c = threadIdx.x; c < p.columns; c += kSoftmaxThreads) {
    const float logit = adjust(head, query, c, logits[c] * p.scale);
    logits[c] = logit;
    top = fmaxf(top, logit);
  }
  top = over_block(top, [](float a, float b) { return fmaxf(a, b); });
  const bool seen = top > -INFINITY;
  float sum = 0;
  for (int c = threadIdx.x; c < p.stride; c += kSoftmaxThreads) {
    // The exact exponential: f32 results are as good as their sums.
    const float weight = seen && c < p.columns ? expf(logits[c] - top) : 0.F;
    weights[c] = from_float<Weight>(weight);
    sum += weight;
  }
  sum = over_block(sum, [](float a, float b) { return a + b; });
  if (threadIdx.x == 0) p.row_factors[row] = seen ? 1 / sum : 0.F;
}

template <class Weight, class Adjust>
void softmax_rows(const LogitRows& rows, Weight* weights, int heads, const Adjust& adjust,
                  cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(rows.rows), static_cast<unsigned>(heads));
  softmax_rows_kernel<<<grid, kSoftmaxThreads, 0, stream>>>(rows, weights, adjust);
  check_launch("attention: softmax");
}

}  // namespace sparsevid::ops::cuda
