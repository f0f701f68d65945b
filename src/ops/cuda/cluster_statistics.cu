// Means and variances of the members of clusters, gathered by order.
//
// The problem: [40, 75600, 128] bf16, every row read once from wherever its cluster puts it: 0.77
// GB. Plan: one block a cluster. Groups of threads that cover a row with 16 bytes each take every
// n-th
//   member and eight rows at a time, so that a block has 16 KB in flight; sums in f32 around the
//   first member, so that one pass is enough for the variance; then the groups' sums are added in a
//   fixed order. A cluster that holds most of a head is read by one block alone: slow, but clusters
//   of thousands of rows in each of 40 heads still keep all multiprocessors busy.
// Bound: memory, 0.2 ms.
#include "ops/cuda/cluster_statistics.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRowsAtOnce = 8;

template <typename T>
struct Statistics {
  const T* x;
  std::int64_t head_stride, row_stride;
  const int* order;
  std::int64_t order_stride;
  const int* offsets;
  std::int64_t offsets_stride;
  float* mean;
  std::int64_t mean_stride;
  float* variance;
  std::int64_t variance_stride;
  MeanMovement movement;
  const int* resting;
  int clusters, dim, packs;  // packs: threads that cover a row, at most kThreads
};

template <typename T, int kWidth, bool kVariance, bool kMovement>
__global__ void __launch_bounds__(kThreads) cluster_statistics_kernel(const Statistics<T> p) {
  const int c = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  if (kMovement && p.resting[head] != 0) return;
  __shared__ float partial[(kVariance ? 2 : 1) * kThreads * kWidth];
  __shared__ float of_warps[2][kThreads / 32];
  const int* offsets = p.offsets + head * p.offsets_stride;
  const int begin = offsets[c];
  const int end = offsets[c + 1];
  const int* order = p.order + head * p.order_stride;
  const T* x = p.x + head * p.head_stride;
  float* mean = p.mean + head * p.mean_stride + static_cast<std::int64_t>(c) * p.dim;
  const float factor = end > begin ? 1 / static_cast<float>(end - begin) : 0;
  const int groups = kThreads / p.packs;
  const int group = static_cast<int>(threadIdx.x) / p.packs;
  const int columns_at_once = p.packs * kWidth;
  float moved = 0;
  float norm = 0;
  for (int column = 0; column < p.dim; column += columns_at_once) {
    const int own = column + static_cast<int>(threadIdx.x) % p.packs * kWidth;
    float first[kWidth] = {};
    float sum[kWidth] = {};
    float squares[kVariance ? kWidth : 1] = {};
    if (group < groups && own < p.dim && begin < end) {
      unpack(load_pack<T, kWidth>(x + order[begin] * p.row_stride + own), first);
      for (int i = begin + group; i < end; i += groups * kRowsAtOnce) {
        Pack<T, kWidth> rows[kRowsAtOnce];
#pragma unroll
        for (int r = 0; r < kRowsAtOnce; ++r) {
          // Behind the end the first member stands in: it adds nothing.
          const int member = i + r * groups < end ? i + r * groups : begin;
          rows[r] = load_pack<T, kWidth>(x + order[member] * p.row_stride + own);
        }
#pragma unroll
        for (int r = 0; r < kRowsAtOnce; ++r) {
          float values[kWidth];
          unpack(rows[r], values);
#pragma unroll
          for (int w = 0; w < kWidth; ++w) {
            const float difference = values[w] - first[w];
            sum[w] += difference;
            if constexpr (kVariance) squares[w] += difference * difference;
          }
        }
      }
    }
    __syncthreads();
#pragma unroll
    for (int w = 0; w < kWidth; ++w) {
      partial[threadIdx.x * kWidth + w] = sum[w];
      if constexpr (kVariance) partial[(kThreads + threadIdx.x) * kWidth + w] = squares[w];
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < columns_at_once; i += kThreads) {
      const int d = column + i;
      if (d >= p.dim) break;
      float total = 0;
      float total_squares = 0;
      for (int g = 0; g < groups; ++g) {
        total += partial[g * columns_at_once + i];
        if constexpr (kVariance)
          total_squares += partial[kThreads * kWidth + g * columns_at_once + i];
      }
      const float around = begin < end ? to_float(x[order[begin] * p.row_stride + d]) : 0;
      const float value = around + total * factor;
      if constexpr (kMovement) {
        const float before = mean[d];
        moved += (value - before) * (value - before);
        norm += value * value;
      }
      mean[d] = value;
      if constexpr (kVariance)
        p.variance[head * p.variance_stride + static_cast<std::int64_t>(c) * p.dim + d] =
            fmaxf(total_squares * factor - total * factor * (total * factor), 0);
    }
  }
  if constexpr (kMovement) {
    const float all_moved = sum_block(moved, of_warps[0]);
    const float all_norm = sum_block(norm, of_warps[1]);
    if (threadIdx.x == 0) {
      p.movement.moved[head * p.clusters + c] = all_moved;
      p.movement.norms[head * p.clusters + c] = sqrtf(all_norm);
    }
  }
}

template <typename T, int kWidth>
void launch(Statistics<T> p, int heads, Context& context) {
  p.packs = std::min(ceil_div(p.dim, kWidth), kThreads);
  const dim3 grid(p.clusters, heads);
  const cudaStream_t stream = stream_of(context);
  if (p.movement.moved != nullptr) {
    cluster_statistics_kernel<T, kWidth, false, true><<<grid, kThreads, 0, stream>>>(p);
  } else if (p.variance != nullptr) {
    cluster_statistics_kernel<T, kWidth, true, false><<<grid, kThreads, 0, stream>>>(p);
  } else {
    cluster_statistics_kernel<T, kWidth, false, false><<<grid, kThreads, 0, stream>>>(p);
  }
  check_launch("cluster_statistics");
}

}  // namespace

void cluster_statistics(const ClusterStatisticsParams& params, const MeanMovement& movement,
                        const int* resting, Context& context) {
  const auto heads = static_cast<int>(params.x.size(0));
  if (heads == 0 || params.mean.numel() == 0) return;
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    Statistics<T> p{};
    p.x = device_pointer<const T>(params.x);
    p.head_stride = params.x.stride(0);
    p.row_stride = params.x.stride(1);
    p.order = params.order.as<std::int32_t>();
    p.order_stride = params.order.stride(0);
    p.offsets = params.offsets.as<std::int32_t>();
    p.offsets_stride = params.offsets.stride(0);
    p.mean = params.mean.as<float>();
    p.mean_stride = params.mean.stride(0);
    if (params.variance.defined()) {
      p.variance = params.variance.as<float>();
      p.variance_stride = params.variance.stride(0);
    }
    p.movement = movement;
    p.resting = resting;
    p.clusters = static_cast<int>(params.mean.size(1));
    p.dim = static_cast<int>(params.mean.size(2));
    constexpr int kWidth = 16 / sizeof(T);
    const bool wide = aligned_to(p.x, 16) && p.head_stride % kWidth == 0 &&
                      p.row_stride % kWidth == 0 && p.dim % kWidth == 0;
    if (wide) {
      launch<T, kWidth>(p, heads, context);
    } else {
      launch<T, 1>(p, heads, context);
    }
  });
}

void cluster_statistics(const ClusterStatisticsParams& params, Context& context) {
  cluster_statistics(params, {}, nullptr, context);
}

}  // namespace sparsevid::ops::cuda
