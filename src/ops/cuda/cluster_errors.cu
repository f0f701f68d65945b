// Scores weighed by the spread of the logits inside a cluster of keys.
//
// The problem: for each of 40 heads [300, 128] x [128, 1000] in f32, 3 GFLOP; scores in and errors
//   out, 96 MB.
// Plan: 64 x 64 errors a block, 16 of the head_dim at a time through shared memory, 4 x 4 a thread.
// Bound: f32 arithmetic and shared memory, 0.1 to 0.2 ms.
#include "ops/cuda/cluster_errors.h"

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/per_head.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kDepth = 16;
constexpr int kThreads = 256;

struct Errors {
  PerHead<const float> scores;
  PerHead<const float> q_mean;
  PerHead<const float> k_variance;
  PerHead<const int> k_offsets;
  PerHead<float> errors;
  float scale;
  int q_clusters, k_clusters, dim;
};

__global__ void __launch_bounds__(kThreads) cluster_errors_kernel(const Errors p) {
  __shared__ float squares[kDepth][kTile + 4];
  __shared__ float variances[kDepth][kTile + 4];
  const auto head = static_cast<std::int64_t>(blockIdx.z);
  const int first_row = static_cast<int>(blockIdx.y) * kTile;
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  const float* q_mean = p.q_mean.of(head);
  const float* k_variance = p.k_variance.of(head);
  const int row = static_cast<int>(threadIdx.x) / 16 * 4;
  const int column = static_cast<int>(threadIdx.x) % 16 * 4;
  float sums[4][4] = {};
  for (int depth = 0; depth < p.dim; depth += kDepth) {
    __syncthreads();
    for (int n = static_cast<int>(threadIdx.x); n < kTile * kDepth; n += kThreads) {
      const int d = depth + n % kDepth;
      const int i = n / kDepth;
      float q = 0;
      float variance = 0;
      if (d < p.dim && first_row + i < p.q_clusters)
        q = q_mean[static_cast<std::int64_t>(first_row + i) * p.dim + d];
      if (d < p.dim && first_column + i < p.k_clusters)
        variance = k_variance[static_cast<std::int64_t>(first_column + i) * p.dim + d];
      squares[n % kDepth][i] = q * q;
      variances[n % kDepth][i] = variance;
    }
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      const float4 left = *reinterpret_cast<const float4*>(&squares[d][row]);
      const float4 right = *reinterpret_cast<const float4*>(&variances[d][column]);
      const float a[4] = {left.x, left.y, left.z, left.w};
      const float b[4] = {right.x, right.y, right.z, right.w};
#pragma unroll
      for (int r = 0; r < 4; ++r)
#pragma unroll
        for (int c = 0; c < 4; ++c) sums[r][c] += a[r] * b[c];
    }
  }
  const int* k_offsets = p.k_offsets.of(head);
  for (int r = 0; r < 4; ++r) {
    const int i = first_row + row + r;
    if (i >= p.q_clusters) break;
    for (int c = 0; c < 4; ++c) {
      const int j = first_column + column + c;
      if (j >= p.k_clusters) break;
      const std::int64_t place = static_cast<std::int64_t>(i) * p.k_clusters + j;
      const int size = k_offsets[j + 1] - k_offsets[j];
      const float weight = size > 0 ? p.scale / static_cast<float>(size) : 0;
      const float score = p.scores.of(head)[place];
      p.errors.of(head)[place] = size > 0 ? score * weight * sqrtf(sums[r][c]) : 0;
    }
  }
}

}  // namespace

void cluster_errors(const ClusterErrorsParams& params, Context& context) {
  if (params.scores.numel() == 0) return;
  Errors p{};
  p.scores = per_head<const float>(params.scores);
  p.q_mean = per_head<const float>(params.q_mean);
  p.k_variance = per_head<const float>(params.k_variance);
  p.k_offsets = per_head<const int>(params.k_offsets);
  p.errors = per_head<float>(params.errors);
  p.scale = static_cast<float>(params.scale);
  p.q_clusters = static_cast<int>(params.scores.size(1));
  p.k_clusters = static_cast<int>(params.scores.size(2));
  p.dim = static_cast<int>(params.q_mean.size(2));
  const dim3 grid(ceil_div(p.k_clusters, kTile), ceil_div(p.q_clusters, kTile),
                  static_cast<unsigned>(params.scores.size(0)));
  cluster_errors_kernel<<<grid, kThreads, 0, stream_of(context)>>>(p);
  check_launch("cluster_errors");
}

}  // namespace sparsevid::ops::cuda
