// The mass that queries give each cluster of keys, in f32.
//
// Plan: one block a cluster of queries, or eight clusters where queries are centroids. It takes
//   eight queries at a time: each thread computes their logits for its own clusters of keys into
//   shared memory, each warp the sum of one query's masses, and each thread adds what its clusters
//   get.
// Shared memory: 9 floats a cluster of keys, 36 KB for 1,000; fewer queries at a time for more.
// Bound: reading the means from L1 and L2; 3 GFLOP for 40 x 300 centroids. For every query of a
//   video it is the fallback of cluster_scores_hopper.
#include "ops/cuda/cluster_scores.h"

#include <algorithm>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/per_head.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kQueries = 8;
constexpr int kThreads = 32 * kQueries;

template <typename T>
struct Scores {
  const T* q;
  std::int64_t q_head_stride, q_row_stride;
  PerHead<const int> q_order;  // none: queries are centroids, one a cluster
  PerHead<const int> q_offsets;
  PerHead<const float> k_mean;
  PerHead<const int> k_offsets;
  PerHead<float> scores;
  float scale;
  int q_clusters, k_clusters, dim, at_once;
};

/// Turns the logits of a query into its shares of mass; one warp.
__device__ void make_shares(float* logits, int count, bool exists) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float largest = -__builtin_huge_valf();
  for (int j = lane; j < count; j += 32) largest = fmaxf(largest, logits[j]);
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, distance));
  float sum = 0;
  for (int j = lane; j < count; j += 32) sum += logits[j] = __expf(logits[j] - largest);
  sum = sum_lanes(sum);
  // Without a key there is nothing to share.
  const float factor = exists && largest > -__builtin_huge_valf() ? 1 / sum : 0;
  for (int j = lane; j < count; j += 32) logits[j] = factor > 0 ? logits[j] * factor : 0;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) cluster_scores_kernel(const Scores<T> p) {
  extern __shared__ float shared[];
  float* sums = shared;                                // [k_clusters]
  float* logits = shared + p.k_clusters;               // [at_once, k_clusters]
  float* queries = logits + p.at_once * p.k_clusters;  // [at_once, dim]
  const int head = static_cast<int>(blockIdx.y);
  const bool centroids = p.q_order.data == nullptr;
  const int* k_offsets = p.k_offsets.of(head);
  const float* k_mean = p.k_mean.of(head);
  const T* q = p.q + head * p.q_head_stride;
  float* scores = p.scores.of(head);
  const int* q_order = centroids ? nullptr : p.q_order.of(head);
  const int* q_offsets = centroids ? nullptr : p.q_offsets.of(head);
  const int i = static_cast<int>(blockIdx.x);
  const int begin = centroids ? i * p.at_once : q_offsets[i];
  const int end = centroids ? min(begin + p.at_once, p.q_clusters) : q_offsets[i + 1];
  for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += kThreads) sums[j] = 0;
  for (int first = begin; first < end; first += p.at_once) {
    __syncthreads();
    for (int n = static_cast<int>(threadIdx.x); n < p.at_once * p.dim; n += kThreads) {
      const int position = min(first + n / p.dim, end - 1);
      const std::int64_t row = centroids ? position : q_order[position];
      queries[n] = p.scale * to_float(q[row * p.q_row_stride + n % p.dim]);
    }
    __syncthreads();
    for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += kThreads) {
      const int size = k_offsets[j + 1] - k_offsets[j];
      const float bias = logf(static_cast<float>(size));  // minus infinity for an empty cluster
      const float* mean = k_mean + static_cast<std::int64_t>(j) * p.dim;
      float dots[kQueries] = {};
      for (int d = 0; d < p.dim; ++d) {
        const float value = mean[d];
#pragma unroll
        for (int n = 0; n < kQueries; ++n)
          if (n < p.at_once) dots[n] += queries[n * p.dim + d] * value;
      }
#pragma unroll
      for (int n = 0; n < kQueries; ++n)
        if (n < p.at_once) logits[n * p.k_clusters + j] = dots[n] + bias;
    }
    __syncthreads();
    const int own = static_cast<int>(threadIdx.x) / 32;
    if (own < p.at_once) make_shares(logits + own * p.k_clusters, p.k_clusters, first + own < end);
    __syncthreads();
    for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += kThreads) {
      for (int n = 0; n < p.at_once; ++n) {
        const float share = logits[n * p.k_clusters + j];
        if (!centroids) {
          sums[j] += share;
        } else if (first + n < end) {
          scores[static_cast<std::int64_t>(first + n) * p.k_clusters + j] = share;
        }
      }
    }
  }
  if (centroids) return;
  const float factor = end > begin ? 1 / static_cast<float>(end - begin) : 0;
  for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += kThreads)
    scores[static_cast<std::int64_t>(i) * p.k_clusters + j] = factor * sums[j];
}

std::int64_t shared_bytes(std::int64_t at_once, std::int64_t k_clusters, std::int64_t dim) {
  return ((at_once + 1) * k_clusters + at_once * dim) * static_cast<int>(sizeof(float));
}
/// Queries at a time that there is shared memory for.
int queries_at_once(const ClusterScoresParams& params) {
  int at_once = kQueries;
  while (at_once > 0 && shared_bytes(at_once, params.scores.size(2), params.q.size(2)) >
                            device_facts().shared_memory_per_block)
    --at_once;
  return at_once;
}

}  // namespace

std::string cluster_scores_refusal(const ClusterScoresParams& params, const Context&) {
  return queries_at_once(params) == 0 ? "too many clusters for shared memory" : "";
}

void cluster_scores(const ClusterScoresParams& params, Context& context) {
  if (params.scores.numel() == 0) return;
  with_float_type(params.q.dtype(), [&](auto element) {
    using T = decltype(element);
    Scores<T> p{};
    p.q = device_pointer<const T>(params.q);
    p.q_head_stride = params.q.stride(0);
    p.q_row_stride = params.q.stride(1);
    p.q_order = per_head<const int>(params.q_order);
    p.q_offsets = per_head<const int>(params.q_offsets);
    p.k_mean = per_head<const float>(params.k_mean);
    p.k_offsets = per_head<const int>(params.k_offsets);
    p.scores = per_head<float>(params.scores);
    p.scale = static_cast<float>(params.scale);
    p.q_clusters = static_cast<int>(params.scores.size(1));
    p.k_clusters = static_cast<int>(params.scores.size(2));
    p.dim = static_cast<int>(params.q.size(2));
    p.at_once = queries_at_once(params);
    const auto bytes = static_cast<int>(shared_bytes(p.at_once, p.k_clusters, p.dim));
    allow_shared_memory(cluster_scores_kernel<T>, bytes, "cluster_scores");
    const int blocks = p.q_order.data == nullptr ? ceil_div(p.q_clusters, p.at_once) : p.q_clusters;
    cluster_scores_kernel<<<dim3(blocks, static_cast<unsigned>(params.q.size(0))), kThreads, bytes,
                            stream_of(context)>>>(p);
  });
  check_launch("cluster_scores");
}

}  // namespace sparsevid::ops::cuda
