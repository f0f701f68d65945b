// What the kernels that choose pairs of clusters take, and the sum over the threads before one.
#pragma once

#include <cstdint>

#include "ops/choose_clusters.h"
#include "ops/cuda/common/per_head.h"

namespace sparsevid::ops::cuda::choosing {

constexpr int kThreads = 256;
constexpr double kMassUnit = 4294967296.0;  // 2^32: masses are whole multiples of its inverse
using Weight = unsigned long long;

struct Choose {
  PerHead<const float> priority;
  PerHead<const float> mass;  // none: entries weigh their tokens
  PerHead<const int> q_offsets;
  PerHead<const int> k_offsets;
  unsigned char* chosen;
  double budget;
  Crossing crossing;
  int at_least;
  bool shared;
  int heads, rows, columns, q_clusters, k_clusters;
  int sorted;  // columns rounded up to a power of two

  __device__ int queries(int head, int i) const {
    const int* offsets = q_offsets.of(head);
    return offsets[i + 1] - offsets[i];
  }
  __device__ std::int64_t place(int i, int j) const {
    return static_cast<std::int64_t>(i) * columns + j;
  }
  /// The bits of a float that is not negative, which order as the floats do; NaN comes first.
  __device__ unsigned key(int head, int i, int j) const {
    return __float_as_uint(priority.of(head)[place(i, j)]) & 0x7fffffffU;
  }
  /// What an entry weighs for one query.
  __device__ float weight(int head, int i, int j) const {
    if (mass.data != nullptr) return mass.of(head)[place(i, j)];
    const int* offsets = k_offsets.of(head);
    return static_cast<float>(offsets[j + 1] - offsets[j]);
  }
  /// What it weighs for all queries of its row, in units; 0 may also be a little mass.
  __device__ Weight units(float of_all_queries) const {
    if (!(of_all_queries > 0)) return 0;
    if (mass.data == nullptr) return static_cast<Weight>(of_all_queries);
    return static_cast<Weight>(__double2ll_rn(of_all_queries * kMassUnit));
  }
  __device__ unsigned char* row(int head, int i) const {
    return chosen + (static_cast<std::int64_t>(head) * q_clusters + i) * k_clusters;
  }
  __device__ bool takes(double left, double weight) const {
    if (left >= weight) return true;
    return left > 0 && (crossing == Crossing::keep || left >= weight / 2);
  }
};

/// The sum of `value` over the threads before this one of a block of kSize.
template <int kSize, typename T>
__device__ T sum_before(T value, T* of_warps) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  T sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const T before = __shfl_up_sync(0xffffffffU, sum, distance);
    if (lane >= distance) sum += before;
  }
  __syncthreads();
  if (lane == 31) of_warps[warp] = sum;
  __syncthreads();
  T before = 0;
  for (int w = 0; w < warp; ++w) before += of_warps[w];
  const T exclusive = __shfl_up_sync(0xffffffffU, sum, 1);
  return before + (lane > 0 ? exclusive : 0);
}

}  // namespace sparsevid::ops::cuda::choosing
