// Means and variances of the members of clusters, gathered by order.
//
// The problem: [40, 75600, 128] bf16, every row read once from wherever its cluster puts it: 0.77
//   GB.
// Plan: one block a cluster, a warp takes 32 members at a time. Its lanes ask for their places, the
//   next ones while rows are on their way, and groups of lanes cover rows with 16 bytes each, eight
//   loads at once, 4 KB of a warp in flight. Sums in f32 around the first member, so that one pass
//   is enough for the variance; groups, then warps are added in a fixed order. A cluster that holds
//   most of a head is read by one block alone: slow, but clusters of thousands of rows in each of
//   40 heads still keep all multiprocessors busy.
// Shared memory: 4 to 8 KiB for the sums of warps.
// Bound: memory, 0.2 ms.
#include "ops/cuda/cluster_statistics.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kMostThreads = 128;
constexpr int kLoadsAtOnce = 8;

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
  int clusters, dim;
};

/// What a lane adds up of its columns.
template <int kWidth, bool kVariance>
struct Sums {
  float first[kWidth] = {};
  float sum[kWidth] = {};
  float squares[kVariance ? kWidth : 1] = {};

  __device__ void add(const float (&values)[kWidth]) {
#pragma unroll
    for (int w = 0; w < kWidth; ++w) {
      const float difference = values[w] - first[w];
      sum[w] += difference;
      if constexpr (kVariance) squares[w] += difference * difference;
    }
  }
  /// Over groups of lanes.
  template <int kLanes>
  __device__ void add_groups() {
#pragma unroll
    for (int distance = kLanes; distance < 32; distance *= 2) {
#pragma unroll
      for (int w = 0; w < kWidth; ++w) {
        sum[w] += __shfl_xor_sync(~0u, sum[w], distance);
        if constexpr (kVariance) squares[w] += __shfl_xor_sync(~0u, squares[w], distance);
      }
    }
  }
};

/// Adds the members that fall to this warp; `rows` is at the lane's first column.
template <int kThreads, int kLanes, typename T, int kWidth, bool kVariance>
__device__ void add_members(const T* rows, std::int64_t row_stride, const int* members, int count,
                            Sums<kWidth, kVariance>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int group = lane / kLanes;
  constexpr int kStep = kLoadsAtOnce * 32 / kLanes;  // rows
  static_assert(32 % kStep == 0);
  // Behind the end the first member stands in: it adds nothing.
  const auto place = [&](int i) { return members[i < count ? i : 0]; };
  int i = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0) * 32;  // the same in a warp
  const int first = members[0];
  int next = place(i + lane);
  unpack(load_pack<T, kWidth>(rows + first * row_stride), sums.first);
  for (; i < count; i += kThreads) {
    const int token = next;
    next = place(i + kThreads + lane);
#pragma unroll 1
    for (int done = 0; done < 32 && i + done < count; done += kStep) {
      Pack<T, kWidth> packs[kLoadsAtOnce];
#pragma unroll
      for (int load = 0; load < kLoadsAtOnce; ++load) {
        const int from = __shfl_sync(~0u, token, done + group + load * (32 / kLanes));
        packs[load] = load_pack<T, kWidth>(rows + from * row_stride);
      }
#pragma unroll
      for (int load = 0; load < kLoadsAtOnce; ++load) {
        float values[kWidth];
        unpack(packs[load], values);
        sums.add(values);
      }
    }
  }
}

/// kLanes cover a row, or a part of it.
template <int kThreads, typename T, int kWidth, int kLanes, bool kVariance, bool kMovement>
__global__ void __launch_bounds__(kThreads, 768 / kThreads)
    cluster_statistics_kernel(const Statistics<T> p) {
  const int c = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  if (kMovement && p.resting[head] != 0) return;
  constexpr int kWarps = kThreads / 32;
  constexpr int kColumns = kLanes * kWidth;  // at once
  constexpr int kOfThread = (kColumns + kThreads - 1) / kThreads;
  __shared__ float of_warps[kVariance ? 2 : 1][kWarps][kColumns];
  __shared__ float first_member[kColumns];
  __shared__ float2 moved_of_warps[kWarps];
  const int* offsets = p.offsets + head * p.offsets_stride;
  const int begin = offsets[c];
  const int count = offsets[c + 1] - begin;
  const int* members = p.order + head * p.order_stride + begin;
  float* mean = p.mean + head * p.mean_stride + static_cast<std::int64_t>(c) * p.dim;
  const float factor = count > 0 ? 1 / static_cast<float>(count) : 0;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32;
  float moved = 0;
  float norm = 0;
  for (int column = 0; column < p.dim; column += kColumns) {
    float before[kOfThread] = {};  // asked for while the rows are on their way
    if constexpr (kMovement) {
#pragma unroll
      for (int n = 0; n < kOfThread; ++n) {
        const int i = n * kThreads + thread;
        if (i < kColumns && column + i < p.dim) before[n] = mean[column + i];
      }
    }
    const int own = lane % kLanes * kWidth;
    Sums<kWidth, kVariance> sums;
    // Lanes behind the last column read another one, which nobody asks for.
    if (count > 0)
      add_members<kThreads, kLanes>(
          p.x + head * p.head_stride + (column + own < p.dim ? column + own : 0), p.row_stride,
          members, count, sums);
    sums.template add_groups<kLanes>();
    __syncthreads();
    if (lane < kLanes) {
#pragma unroll
      for (int w = 0; w < kWidth; ++w) {
        of_warps[0][thread / 32][own + w] = sums.sum[w];
        if constexpr (kVariance) of_warps[1][thread / 32][own + w] = sums.squares[w];
        if (thread < 32) first_member[own + w] = sums.first[w];
      }
    }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kOfThread; ++n) {
      const int i = n * kThreads + thread;
      const int d = column + i;
      if (i >= kColumns || d >= p.dim) break;
      float total = 0;
      float total_squares = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        total += of_warps[0][w][i];
        if constexpr (kVariance) total_squares += of_warps[1][w][i];
      }
      const float value = first_member[i] + total * factor;
      if constexpr (kMovement) {
        moved += (value - before[n]) * (value - before[n]);
        norm += value * value;
      }
      mean[d] = value;
      if constexpr (kVariance)
        p.variance[head * p.variance_stride + static_cast<std::int64_t>(c) * p.dim + d] =
            fmaxf(total_squares * factor - total * factor * (total * factor), 0);
    }
  }
  if constexpr (kMovement) {
    moved = sum_lanes(moved);
    norm = sum_lanes(norm);
    if (lane == 0) moved_of_warps[thread / 32] = {moved, norm};
    __syncthreads();
    if (thread != 0) return;
    float2 all = {0, 0};
    for (const float2& of_warp : moved_of_warps) all = {all.x + of_warp.x, all.y + of_warp.y};
    p.movement.moved[head * p.clusters + c] = all.x;
    p.movement.norms[head * p.clusters + c] = sqrtf(all.y);
  }
}

template <int kThreads, typename T, int kWidth, int kLanes>
void launch(const Statistics<T>& p, int heads, Context& context) {
  const dim3 grid(p.clusters, heads);
  const cudaStream_t stream = stream_of(context);
  if (p.movement.moved != nullptr) {
    cluster_statistics_kernel<kThreads, T, kWidth, kLanes, false, true>
        <<<grid, kThreads, 0, stream>>>(p);
  } else if (p.variance != nullptr) {
    cluster_statistics_kernel<kThreads, T, kWidth, kLanes, true, false>
        <<<grid, kThreads, 0, stream>>>(p);
  } else {
    cluster_statistics_kernel<kThreads, T, kWidth, kLanes, false, false>
        <<<grid, kThreads, 0, stream>>>(p);
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
    if (!wide) {
      launch<kMostThreads, T, 1, 32>(p, heads, context);
    } else if (p.dim <= 8 * kWidth) {
      launch<kMostThreads, T, kWidth, 8>(p, heads, context);
    } else if (params.x.size(1) < std::int64_t{kMostThreads} * p.clusters) {
      launch<kMostThreads / 2, T, kWidth, 16>(p, heads, context);  // or its last warps are idle
    } else {
      launch<kMostThreads, T, kWidth, 16>(p, heads, context);
    }
  });
}

void cluster_statistics(const ClusterStatisticsParams& params, Context& context) {
  cluster_statistics(params, {}, nullptr, context);
}

}  // namespace sparsevid::ops::cuda
