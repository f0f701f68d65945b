// Choosing the pairs of clusters to compute.
//
// The problem: 40 heads x 300 rows x 1,000 priorities, 48 MB, and as much again where entries weigh
//   their mass; 12 MB of choices out.
// Plan, row by row: a block sorts the keys (bits of the priority, then index) of its row in shared
//   memory and adds up the weights in that order, in f64.
// Plan, one threshold for all: three histograms of weights over the 31 bits of the priorities, 11 +
//   10 + 10, each within the bin in which the one before crossed the budget; then everything above
//   the threshold, and of what equals it the first entries by index, found by a sum over the rows
//   before. Weights are added as whole numbers (tokens, or masses times 2^32), so atomics give the
//   same sums in any order.
// Shared memory: 8 bytes an entry of a row rounded up to a power of two; 16 KB of histogram, as two
//   words a bin, because 64-bit atomics in shared memory are loops.
// Bound: 11 us for each time that priorities are read; 0.1 ms expected either way.
#include "ops/cuda/choose_clusters.h"

#include <algorithm>

#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPickThreads = 1024;
constexpr double kMassUnit = 4294967296.0;  // 2^32: masses are whole multiples of its inverse
using Weight = unsigned long long;

struct Choose {
  const float* priority;
  std::int64_t priority_stride;
  const float* mass;  // null: entries weigh their tokens
  std::int64_t mass_stride;
  const int* q_offsets;
  std::int64_t q_offsets_stride;
  const int* k_offsets;
  std::int64_t k_offsets_stride;
  unsigned char* chosen;
  double budget;
  Crossing crossing;
  int at_least;
  bool shared;
  int heads, rows, columns, q_clusters, k_clusters;
  int sorted;  // columns rounded up to a power of two

  __device__ int queries(int head, int i) const {
    const int* offsets = q_offsets + head * q_offsets_stride;
    return offsets[i + 1] - offsets[i];
  }
  __device__ std::int64_t place(int i, int j) const {
    return static_cast<std::int64_t>(i) * columns + j;
  }
  /// The bits of a float that is not negative, which order as the floats do; NaN comes first.
  __device__ unsigned key(int head, int i, int j) const {
    return __float_as_uint(priority[head * priority_stride + place(i, j)]) & 0x7fffffffU;
  }
  /// What an entry weighs for one query.
  __device__ float weight(int head, int i, int j) const {
    if (mass != nullptr) return mass[head * mass_stride + place(i, j)];
    const int* offsets = k_offsets + head * k_offsets_stride;
    return static_cast<float>(offsets[j + 1] - offsets[j]);
  }
  /// What it weighs for all queries of its row, in units; 0 may also be a little mass.
  __device__ Weight units(float of_all_queries) const {
    if (!(of_all_queries > 0)) return 0;
    if (mass == nullptr) return static_cast<Weight>(of_all_queries);
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

/// Descending; `count` is a power of two.
__device__ void sort(Weight* keys, int count) {
  for (int size = 2; size <= count; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int n = static_cast<int>(threadIdx.x); n < count / 2; n += kThreads) {
        const int first = 2 * n - n % distance;
        const int second = first + distance;
        const bool descending = (first & size) == 0;
        const Weight a = keys[first];
        const Weight b = keys[second];
        if ((a < b) != descending) continue;
        keys[first] = b;
        keys[second] = a;
      }
    }
  }
  __syncthreads();
}

/// Fills a row of the choice, and does what depends on no other row.
__global__ void __launch_bounds__(kThreads) choose_rows(const Choose p) {
  extern __shared__ Weight keys[];
  __shared__ double of_warps[kThreads / 32];
  const int i = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int columns = i < p.rows ? p.columns : 0;
  unsigned char* row = p.row(head, i);
  for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += kThreads)
    row[j] = j < columns ? 0 : 1;
  if (columns == 0 || p.queries(head, i) == 0 || (p.shared && p.at_least <= 0)) return;
  for (int j = static_cast<int>(threadIdx.x); j < p.sorted; j += kThreads) {
    const bool counts = j < columns && p.weight(head, i, j) > 0;
    keys[j] = counts ? Weight{p.key(head, i, j)} << 32 | (0xffffffffU - j) : 0;
  }
  sort(keys, p.sorted);
  const int each = max(1, p.sorted / kThreads);
  const int first = static_cast<int>(threadIdx.x) * each;
  double sum = 0;
  for (int n = first; n < min(first + each, p.sorted); ++n)
    if (keys[n] != 0) sum += p.weight(head, i, 0xffffffffU - static_cast<unsigned>(keys[n]));
  double left = (p.shared ? 0 : p.budget) - sum_before<kThreads>(sum, of_warps);
  for (int n = first; n < min(first + each, p.sorted); ++n) {
    if (keys[n] == 0) break;
    const int j = static_cast<int>(0xffffffffU - static_cast<unsigned>(keys[n]));
    const float weight = p.weight(head, i, j);
    if (n < p.at_least || p.takes(left, weight)) row[j] = 1;
    left -= weight;
  }
}

/// Where the search for the shared threshold stands.
struct Threshold {
  double left;      // of the budget, for entries whose key begins as `prefix` does, in units
  unsigned prefix;  // of the key of the entry that crosses the budget
};

__global__ void start_threshold(const Choose p, Threshold* threshold) {
  if (threadIdx.x != 0) return;
  double queries = 0;
  for (int head = 0; head < p.heads; ++head) {
    const int* offsets = p.q_offsets + head * p.q_offsets_stride;
    queries += offsets[p.rows] - offsets[0];
  }
  threshold->left = p.budget * queries * (p.mass == nullptr ? 1 : kMassUnit);
  threshold->prefix = 0;
}

template <int kShift, int kBits>
__global__ void __launch_bounds__(kThreads)
    add_to_histogram(const Choose p, const Threshold* threshold, Weight* histogram) {
  constexpr int kBins = 1 << kBits;
  __shared__ unsigned low[kBins];
  __shared__ unsigned high[kBins];
  for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kThreads) low[b] = high[b] = 0;
  __syncthreads();
  const unsigned prefix = threshold->prefix;
  for (int n = static_cast<int>(blockIdx.x); n < p.heads * p.rows; n += gridDim.x) {
    const int head = n / p.rows;
    const int i = n % p.rows;
    const auto queries = static_cast<float>(p.queries(head, i));
    if (queries == 0) continue;
    for (int j = static_cast<int>(threadIdx.x); j < p.columns; j += kThreads) {
      const unsigned key = p.key(head, i, j);
      if (kShift + kBits < 31 && key >> (kShift + kBits) != prefix) continue;
      const Weight units = p.units(queries * p.weight(head, i, j));
      if (units == 0) continue;
      const unsigned bin = key >> kShift & (kBins - 1);
      const auto low_units = static_cast<unsigned>(units);
      const unsigned before = atomicAdd(&low[bin], low_units);
      const unsigned carried =
          static_cast<unsigned>(units >> 32) + (before + low_units < before ? 1 : 0);
      if (carried != 0) atomicAdd(&high[bin], carried);
    }
  }
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kThreads) {
    const Weight sum = Weight{high[b]} << 32 | low[b];
    if (sum != 0) atomicAdd(&histogram[b], sum);
  }
}

/// The highest bin at which all bins from it on reach what is left of the budget; else bin 0. One
/// block; thread t has the bins that follow from the top.
template <int kBits>
__global__ void __launch_bounds__(kPickThreads)
    pick_bin(const Weight* histogram, Threshold* threshold) {
  constexpr int kBins = 1 << kBits;
  constexpr int kEach = kBins / kPickThreads;
  __shared__ Weight of_warps[kPickThreads / 32];
  __shared__ int picked;
  const double left = threshold->left;
  const int top = kBins - 1 - static_cast<int>(threadIdx.x) * kEach;
  Weight sum = 0;
  for (int b = top; b > top - kEach; --b) sum += histogram[b];
  Weight above = sum_before<kPickThreads>(sum, of_warps);
  if (threadIdx.x == 0) picked = 0;
  __syncthreads();
  for (int b = top; b > top - kEach; --b) {
    const Weight reached = above + histogram[b];
    // Only the first bin that reaches it; bin 0 takes what nothing reached.
    const bool before = b < kBins - 1 && static_cast<double>(above) >= left;
    if (b > 0 && !before && static_cast<double>(reached) >= left) picked = b;
    above = reached;
  }
  __syncthreads();
  above -= sum;
  for (int b = top; b > top - kEach; --b) {
    if (b == picked) {
      threshold->left = left - static_cast<double>(above);
      threshold->prefix = threshold->prefix << kBits | static_cast<unsigned>(b);
    }
    above += histogram[b];
  }
}

/// Takes what is above the threshold, and adds up what equals it, for each row.
__global__ void __launch_bounds__(kThreads)
    choose_above(const Choose p, const Threshold* threshold, Weight* equal) {
  __shared__ Weight of_warps[kThreads / 32];
  const int i = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const auto queries = static_cast<float>(p.queries(head, i));
  const unsigned crossing_key = threshold->prefix;
  unsigned char* row = p.row(head, i);
  Weight sum = 0;
  for (int j = static_cast<int>(threadIdx.x); j < p.columns; j += kThreads) {
    const unsigned key = p.key(head, i, j);
    if (key < crossing_key) continue;
    const float weight = queries * p.weight(head, i, j);
    if (!(weight > 0)) continue;
    if (key > crossing_key) {
      row[j] = 1;
    } else {
      sum += p.units(weight);
    }
  }
  const Weight before = sum_before<kThreads>(sum, of_warps);
  if (threadIdx.x == kThreads - 1) equal[head * p.rows + i] = before + sum;
}

/// equal[n] becomes the sum of those before; one block.
__global__ void __launch_bounds__(kPickThreads) add_rows_before(Weight* equal, int count) {
  __shared__ Weight of_warps[kPickThreads / 32];
  const int each = (count + kPickThreads - 1) / kPickThreads;
  const int first = min(static_cast<int>(threadIdx.x) * each, count);
  const int last = min(first + each, count);
  Weight sum = 0;
  for (int n = first; n < last; ++n) sum += equal[n];
  Weight before = sum_before<kPickThreads>(sum, of_warps);
  for (int n = first; n < last; ++n) {
    const Weight own = equal[n];
    equal[n] = before;
    before += own;
  }
}

/// Takes the first of those that equal the threshold, as many as fit.
__global__ void __launch_bounds__(kThreads)
    choose_equal(const Choose p, const Threshold* threshold, const Weight* before_rows) {
  __shared__ Weight of_warps[kThreads / 32];
  const int i = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const auto queries = static_cast<float>(p.queries(head, i));
  const unsigned crossing_key = threshold->prefix;
  Weight before = before_rows[head * p.rows + i];
  if (queries == 0 || threshold->left <= static_cast<double>(before)) return;
  unsigned char* row = p.row(head, i);
  for (int first = 0; first < p.columns; first += kThreads) {
    const int j = first + static_cast<int>(threadIdx.x);
    float weight = 0;
    if (j < p.columns && p.key(head, i, j) == crossing_key) weight = queries * p.weight(head, i, j);
    const Weight units = p.units(weight);
    if (__syncthreads_or(units != 0 ? 1 : 0) == 0 && __syncthreads_or(weight > 0 ? 1 : 0) == 0)
      continue;
    const Weight own_before = before + sum_before<kThreads>(units, of_warps);
    const double left = threshold->left - static_cast<double>(own_before);
    if (weight > 0 && left > 0 && p.takes(left, static_cast<double>(units))) row[j] = 1;
    __shared__ Weight next;
    if (threadIdx.x == kThreads - 1) next = own_before + units;
    __syncthreads();
    before = next;
  }
}

int sorted_columns(std::int64_t columns) {
  int sorted = 1;
  while (sorted < columns) sorted *= 2;
  return sorted;
}

template <int kShift, int kBits>
void narrow(const Choose& p, Threshold* threshold, Weight* histogram, cudaStream_t stream) {
  check(cudaMemsetAsync(histogram, 0, sizeof(Weight) << kBits, stream), "choose_clusters");
  const int blocks = std::min(p.heads * p.rows, 8 * device_facts().multiprocessors);
  add_to_histogram<kShift, kBits><<<blocks, kThreads, 0, stream>>>(p, threshold, histogram);
  pick_bin<kBits><<<1, kPickThreads, 0, stream>>>(histogram, threshold);
}

}  // namespace

std::string choose_clusters_refusal(const ChooseClustersParams& params, const Context&) {
  const std::int64_t bytes =
      sorted_columns(params.priority.size(2)) * static_cast<std::int64_t>(sizeof(Weight));
  if (bytes > device_facts().shared_memory_per_block - 1024)
    return "too many clusters for shared memory";
  return {};
}

void choose_clusters(const ChooseClustersParams& params, Context& context) {
  Choose p{};
  p.priority = params.priority.as<float>();
  p.priority_stride = params.priority.stride(0);
  if (params.mass.defined()) {
    p.mass = params.mass.as<float>();
    p.mass_stride = params.mass.stride(0);
  }
  p.q_offsets = params.q_offsets.as<std::int32_t>();
  p.q_offsets_stride = params.q_offsets.stride(0);
  p.k_offsets = params.k_offsets.as<std::int32_t>();
  p.k_offsets_stride = params.k_offsets.stride(0);
  p.chosen = params.chosen.as<std::uint8_t>();
  p.budget = params.budget;
  p.crossing = params.crossing;
  p.at_least = params.at_least;
  p.shared = params.shared;
  p.heads = static_cast<int>(params.priority.size(0));
  p.rows = static_cast<int>(params.priority.size(1));
  p.columns = static_cast<int>(params.priority.size(2));
  p.q_clusters = static_cast<int>(params.chosen.size(1));
  p.k_clusters = static_cast<int>(params.chosen.size(2));
  p.sorted = sorted_columns(p.columns);
  if (params.chosen.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const cudaStream_t stream = stream_of(context);
  const int key_bytes =
      p.shared && p.at_least <= 0 ? 0 : p.sorted * static_cast<int>(sizeof(Weight));
  allow_shared_memory(choose_rows, key_bytes, "choose_clusters");
  choose_rows<<<dim3(p.q_clusters, p.heads), kThreads, key_bytes, stream>>>(p);
  if (p.shared && params.priority.numel() > 0) {
    auto* threshold = context.arena.array<Threshold>(1);
    auto* histogram = context.arena.array<Weight>(2048);
    auto* equal = context.arena.array<Weight>(std::int64_t{p.heads} * p.rows);
    start_threshold<<<1, 32, 0, stream>>>(p, threshold);
    narrow<20, 11>(p, threshold, histogram, stream);
    narrow<10, 10>(p, threshold, histogram, stream);
    narrow<0, 10>(p, threshold, histogram, stream);
    const dim3 grid(p.rows, p.heads);
    choose_above<<<grid, kThreads, 0, stream>>>(p, threshold, equal);
    add_rows_before<<<1, kPickThreads, 0, stream>>>(equal, p.heads * p.rows);
    choose_equal<<<grid, kThreads, 0, stream>>>(p, threshold, equal);
  }
  check_launch("choose_clusters");
}

}  // namespace sparsevid::ops::cuda
