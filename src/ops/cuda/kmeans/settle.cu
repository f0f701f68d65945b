// Refilling of empty clusters and the test of convergence, one block a head.
//
// Refilling is a chain: each empty cluster takes half of what is the largest one by then. Splits
// are few (none in most calls), so the block walks the chain and its warps share the work inside a
// split. The members of a cluster that was split before still lie in the run of the sorted order
// that its first owner, its root, had: a split reads that run and asks for labels.
// It differs from the CPU's in this: a head in which a cluster was refilled never rests after that
// iteration (the CPU looks how far the refilled centroids moved), and distances are f32.
// Bound: latency; a few microseconds without empty clusters.
#include "ops/cuda/kmeans/settle.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;

/// Members that differ from their mean by less than this share of its squared norm are duplicates
/// up to the rounding of the mean.
constexpr float kDuplicate = 1e-7F;

/// A candidate for the largest: the larger value wins, then the smaller index; none has index -1.
struct Candidate {
  float value;
  int index;
};
__device__ bool beats(const Candidate& a, const Candidate& b) {
  if (a.index < 0 || b.index < 0) return b.index < 0 && a.index >= 0;
  return a.value > b.value || (a.value == b.value && a.index < b.index);
}

struct Block {
  Candidate candidates[kWarps];
  float partial[2][kThreads];
  int integers[kWarps];
};

__device__ Candidate largest_of_block(Candidate own, Block& block) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const Candidate other{__shfl_xor_sync(0xffffffffU, own.value, distance),
                          __shfl_xor_sync(0xffffffffU, own.index, distance)};
    if (beats(other, own)) own = other;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) block.candidates[threadIdx.x / 32] = own;
  __syncthreads();
  Candidate best = block.candidates[0];
  for (int w = 1; w < kWarps; ++w)
    if (beats(block.candidates[w], best)) best = block.candidates[w];
  return best;
}

__device__ int sum_of_block(int value, Block& block) {
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffU, value, distance);
  __syncthreads();
  if (threadIdx.x % 32 == 0) block.integers[threadIdx.x / 32] = value;
  __syncthreads();
  int sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += block.integers[w];
  return sum;
}

template <typename T>
struct Settle {
  LloydState state;
  const T* x;
  std::int64_t head_stride, row_stride;
  int* labels;
  std::int64_t labels_stride;
  int* counts;
  std::int64_t counts_stride;
  const int* order;
  const int* offsets;
  const float* moved;
  const float* norms;
  int* roots;
  unsigned char* whole;
  double tolerance;
};

/// What the block of a head works on.
template <typename T>
struct Head {
  const T* x;
  std::int64_t row_stride;
  int* labels;
  int* counts;
  const int* order;
  const int* offsets;
  float* centroids;
  int* roots;
  unsigned char* whole;
  int dim, clusters;

  /// Of a warp; every lane gets it.
  __device__ float squared_distance(int row, const float* to) const {
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x) % 32; d < dim; d += 32) {
      const float difference = to_float(x[row * row_stride + d]) - to[d];
      sum += difference * difference;
    }
    return sum_lanes(sum);
  }
  __device__ float squared_distance(int row, int other) const {
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x) % 32; d < dim; d += 32) {
      const float difference =
          to_float(x[row * row_stride + d]) - to_float(x[other * row_stride + d]);
      sum += difference * difference;
    }
    return sum_lanes(sum);
  }
  __device__ float squared_norm(int row) const {
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x) % 32; d < dim; d += 32) {
      const float value = to_float(x[row * row_stride + d]);
      sum += value * value;
    }
    return sum_lanes(sum);
  }
};

/// The means of clusters `from` and `into`, whose members lie in [begin, end) of the order.
template <typename T>
__device__ void move_to_means(const Head<T>& head, int begin, int end, int from, int into,
                              Block& block) {
  const int columns = min(head.dim, kThreads);
  const int groups = kThreads / columns;
  const int group = static_cast<int>(threadIdx.x) / columns;
  for (int column = 0; column < head.dim; column += columns) {
    const int d = column + static_cast<int>(threadIdx.x) % columns;
    float sums[2] = {};
    if (group < groups && d < head.dim) {
      for (int p = begin + group; p < end; p += groups) {
        const int row = head.order[p];
        const int label = head.labels[row];
        if (label == from) sums[0] += to_float(head.x[row * head.row_stride + d]);
        if (label == into) sums[1] += to_float(head.x[row * head.row_stride + d]);
      }
    }
    __syncthreads();
    block.partial[0][threadIdx.x] = sums[0];
    block.partial[1][threadIdx.x] = sums[1];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < 2 * columns; i += kThreads) {
      const int which = i / columns;
      const int own = column + i % columns;
      if (own >= head.dim) continue;
      float total = 0;
      for (int g = 0; g < groups; ++g) total += block.partial[which][g * columns + i % columns];
      const int c = which == 0 ? from : into;
      head.centroids[static_cast<std::int64_t>(c) * head.dim + own] =
          total / static_cast<float>(head.counts[c]);
    }
  }
  __syncthreads();
}

/// Moves the members of `from` that are nearer to its farthest member than to its centroid; false,
/// and nothing changes, if they cannot be told apart.
template <typename T>
__device__ bool split(const Head<T>& head, int from, int into, Block& block) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int begin = head.offsets[head.roots[from]];
  const int end = head.offsets[head.roots[from] + 1];
  const float* centroid = head.centroids + static_cast<std::int64_t>(from) * head.dim;
  Candidate own{0, -1};
  for (int p = begin + warp; p < end; p += kWarps) {
    const int row = head.order[p];
    if (head.labels[row] != from) continue;
    const Candidate member{head.squared_distance(row, centroid), row};
    if (member.value > 0 && beats(member, own)) own = member;
  }
  const Candidate farthest = largest_of_block(own, block);
  if (farthest.index < 0 || farthest.value <= kDuplicate * head.squared_norm(farthest.index))
    return false;
  int moved = 0;
  for (int p = begin + warp; p < end; p += kWarps) {
    const int row = head.order[p];
    if (head.labels[row] != from) continue;
    const bool moves = row == farthest.index || head.squared_distance(row, farthest.index) <
                                                    head.squared_distance(row, centroid);
    __syncwarp();
    if (!moves) continue;
    if (lane == 0) {
      head.labels[row] = into;
      ++moved;
    }
  }
  moved = sum_of_block(moved, block);
  if (moved == head.counts[from]) {
    for (int p = begin + static_cast<int>(threadIdx.x); p < end; p += kThreads)
      if (head.labels[head.order[p]] == into) head.labels[head.order[p]] = from;
    __syncthreads();
    return false;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    head.counts[from] -= moved;
    head.counts[into] = moved;
    head.roots[into] = head.roots[from];
  }
  __syncthreads();
  move_to_means(head, begin, end, from, into, block);
  return true;
}

/// Whether any cluster was refilled.
template <typename T>
__device__ bool refill(const Head<T>& head, Block& block) {
  for (int c = static_cast<int>(threadIdx.x); c < head.clusters; c += kThreads) {
    head.roots[c] = c;
    head.whole[c] = 0;
  }
  __syncthreads();
  bool refilled = false;
  for (int empty = 0; empty < head.clusters; ++empty) {
    while (head.counts[empty] == 0) {
      Candidate own{0, -1};
      for (int c = static_cast<int>(threadIdx.x); c < head.clusters; c += kThreads) {
        const Candidate cluster{static_cast<float>(head.counts[c]), c};
        if (head.whole[c] == 0 && head.counts[c] > 1 && beats(cluster, own)) own = cluster;
      }
      const Candidate largest = largest_of_block(own, block);
      if (largest.index < 0) return refilled;
      if (split(head, largest.index, empty, block)) {
        refilled = true;
      } else if (threadIdx.x == 0) {
        head.whole[largest.index] = 1;
      }
      __syncthreads();
    }
  }
  return refilled;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) settle_kernel(const Settle<T> p) {
  __shared__ Block block;
  const auto h = static_cast<std::int64_t>(blockIdx.x);
  if (p.state.resting[h] != 0) return;
  const int clusters = p.state.clusters;
  Head<T> head;
  head.x = p.x + h * p.head_stride;
  head.row_stride = p.row_stride;
  head.labels = p.labels + h * p.labels_stride;
  head.counts = p.counts + h * p.counts_stride;
  head.order = p.order + h * p.state.count;
  head.offsets = p.offsets + h * (clusters + 1);
  head.centroids = p.state.centroids + h * clusters * p.state.dim;
  head.roots = p.roots + h * clusters;
  head.whole = p.whole + h * clusters;
  head.dim = p.state.dim;
  head.clusters = clusters;
  int empty = 0;
  float largest = 0;
  float norms = 0;
  for (int c = static_cast<int>(threadIdx.x); c < clusters; c += kThreads) {
    const int members = head.offsets[c + 1] - head.offsets[c];
    head.counts[c] = members;
    empty += members == 0 ? 1 : 0;
    largest = fmaxf(largest, p.moved[h * clusters + c]);
    norms += p.norms[h * clusters + c];
  }
  empty = sum_of_block(empty, block);
  const bool refilled = empty > 0 && refill(head, block);
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < clusters; c += kThreads)
    if (head.counts[c] > 0) p.state.usable[h * clusters + c] = 1;
  const float moved = largest_of_block({largest, 0}, block).value;
  norms = sum_block(norms, block.partial[0]);
  const double share = p.tolerance * norms / clusters;
  if (threadIdx.x == 0 && !refilled && sqrt(static_cast<double>(moved)) <= share)
    p.state.resting[h] = 1;
}

}  // namespace

void settle(const SettleParams& params, Context& context) {
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    Settle<T> p{};
    p.state = params.state;
    p.x = device_pointer<const T>(params.x);
    p.head_stride = params.x.stride(0);
    p.row_stride = params.x.stride(1);
    p.labels = params.labels.as<std::int32_t>();
    p.labels_stride = params.labels.stride(0);
    p.counts = params.counts.as<std::int32_t>();
    p.counts_stride = params.counts.stride(0);
    p.order = params.order;
    p.offsets = params.offsets;
    p.moved = params.moved;
    p.norms = params.norms;
    p.roots = params.roots;
    p.whole = params.whole;
    p.tolerance = params.tolerance;
    settle_kernel<<<params.state.heads, kThreads, 0, stream_of(context)>>>(p);
  });
  check_launch("kmeans");
}

}  // namespace sparsevid::ops::cuda
