// Refilling of empty clusters and the test of convergence, one block a head.
//
// Refilling is a chain: each empty cluster takes half of what is the largest one by then. Splits
// are few, so the block walks the chain and its warps share the work inside a split, four members
// each at a time. A split also parts the cluster's run of the sorted order, so that the members of
// every cluster stay neighbours there. It differs from the CPU's in this: a head in which a cluster
// was refilled never rests after that iteration (the CPU looks how far the refilled centroids
// moved), and distances are f32. Bound: latency; a few microseconds without empty clusters.
#include "ops/cuda/kmeans/settle.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr int kColumns = 128;   // whose sums a block adds up at a time
constexpr int kRowsAtOnce = 4;  // of a warp

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
  float partial[kWarps * kColumns];
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
  int* order;
  const int* offsets;
  const float* moved;
  const float* norms;
  RefillScratch scratch;
  double tolerance;
};

/// What the block of a head works on.
template <typename T>
struct Head {
  const T* x;
  std::int64_t row_stride;
  int* labels;
  int* counts;
  int* order;
  int* parted;  // room for a run of the order
  int* begins;  // of each cluster's run
  unsigned char* whole;
  float* centroids;
  int dim, clusters;

  __device__ float* centroid(int c) const { return centroids + static_cast<std::int64_t>(c) * dim; }
  __device__ float value(int row, int d) const { return to_float(x[row * row_stride + d]); }
};

/// Calls body(rows, count) with up to kRowsAtOnce members for each warp; behind `count` rows
/// repeat.
template <typename T, typename Body>
__device__ void for_members(const Head<T>& head, int begin, int end, const Body& body) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int first = begin + warp * kRowsAtOnce; first < end; first += kWarps * kRowsAtOnce) {
    int rows[kRowsAtOnce];
#pragma unroll
    for (int r = 0; r < kRowsAtOnce; ++r) rows[r] = head.order[min(first + r, end - 1)];
    body(rows, min(kRowsAtOnce, end - first));
  }
}

/// Squared distances of rows to a vector of f32; every lane of the warp gets them.
template <typename T, typename To>
__device__ void squared_distances(const Head<T>& head, const int (&rows)[kRowsAtOnce], const To& to,
                                  float (&squared)[kRowsAtOnce]) {
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) squared[r] = 0;
  for (int d = static_cast<int>(threadIdx.x) % 32; d < head.dim; d += 32) {
    const float other = to(d);
#pragma unroll
    for (int r = 0; r < kRowsAtOnce; ++r) {
      const float difference = head.value(rows[r], d) - other;
      squared[r] += difference * difference;
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) squared[r] = sum_lanes(squared[r]);
}

/// The mean of a cluster whose members lie in [begin, end) of the order.
template <typename T>
__device__ void move_to_mean(const Head<T>& head, int c, int begin, int end, Block& block) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int column = 0; column < head.dim; column += kColumns) {
    float sums[kColumns / 32] = {};
    for_members(head, begin, end, [&](const int(&rows)[kRowsAtOnce], int count) {
#pragma unroll
      for (int i = 0; i < kColumns / 32; ++i) {
        const int d = column + 32 * i + lane;
        if (d >= head.dim) break;
        float values[kRowsAtOnce];
#pragma unroll
        for (int r = 0; r < kRowsAtOnce; ++r) values[r] = head.value(rows[r], d);
#pragma unroll
        for (int r = 0; r < kRowsAtOnce; ++r)
          if (r < count) sums[i] += values[r];
      }
    });
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kColumns / 32; ++i)
      block.partial[warp * kColumns + 32 * i + lane] = sums[i];
    __syncthreads();
    const int own = static_cast<int>(threadIdx.x);
    if (own < kColumns && column + own < head.dim) {
      float total = 0;
      for (int w = 0; w < kWarps; ++w) total += block.partial[w * kColumns + own];
      head.centroid(c)[column + own] = total / static_cast<float>(end - begin);
    }
  }
  __syncthreads();
}

/// Reorders [begin, end): first the members that keep the label `from`, then the others, each in
/// order.
template <typename T>
__device__ void part_run(const Head<T>& head, int begin, int end, int from, int kept,
                         Block& block) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  int kept_before = 0;
  for (int first = begin; first < end; first += kThreads) {
    const int p = first + static_cast<int>(threadIdx.x);
    const int row = p < end ? head.order[p] : -1;
    const bool stays = row >= 0 && head.labels[row] == from;
    const unsigned stay = __ballot_sync(0xffffffffU, stays);
    __syncthreads();
    if (lane == 0) block.integers[warp] = __popc(stay);
    __syncthreads();
    int place = kept_before + __popc(stay & ((1U << lane) - 1));
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) place += block.integers[w];
      kept_before += block.integers[w];
    }
    if (row >= 0) head.parted[stays ? begin + place : begin + kept + (p - begin) - place] = row;
  }
  __syncthreads();
  for (int p = begin + static_cast<int>(threadIdx.x); p < end; p += kThreads)
    head.order[p] = head.parted[p];
  __syncthreads();
}

/// Moves the members of `from` that are nearer to its farthest member than to its centroid; false,
/// and nothing changes, if they cannot be told apart.
template <typename T>
__device__ bool split(const Head<T>& head, int from, int into, Block& block) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int begin = head.begins[from];
  const int members = head.counts[from];
  const int end = begin + members;
  const float* centroid = head.centroid(from);
  const auto to_centroid = [&](int d) { return centroid[d]; };
  Candidate own{0, -1};
  for_members(head, begin, end, [&](const int(&rows)[kRowsAtOnce], int count) {
    float squared[kRowsAtOnce];
    squared_distances(head, rows, to_centroid, squared);
#pragma unroll
    for (int r = 0; r < kRowsAtOnce; ++r) {
      const Candidate member{squared[r], rows[r]};
      if (r < count && member.value > 0 && beats(member, own)) own = member;
    }
  });
  const Candidate farthest = largest_of_block(own, block);
  if (farthest.index < 0) return false;
  float norm = 0;
  for (int d = lane; d < head.dim; d += 32)
    norm += head.value(farthest.index, d) * head.value(farthest.index, d);
  if (farthest.value <= kDuplicate * sum_lanes(norm)) return false;
  int moved = 0;
  for_members(head, begin, end, [&](const int(&rows)[kRowsAtOnce], int count) {
    float squared[kRowsAtOnce];
    float to_farthest[kRowsAtOnce];
    squared_distances(head, rows, to_centroid, squared);
    squared_distances(
        head, rows, [&](int d) { return head.value(farthest.index, d); }, to_farthest);
#pragma unroll
    for (int r = 0; r < kRowsAtOnce; ++r) {
      const bool moves = rows[r] == farthest.index || to_farthest[r] < squared[r];
      if (lane != 0 || r >= count || !moves) continue;
      head.labels[rows[r]] = into;
      ++moved;
    }
  });
  moved = sum_of_block(moved, block);
  if (moved == members) {
    for (int p = begin + static_cast<int>(threadIdx.x); p < end; p += kThreads)
      head.labels[head.order[p]] = from;
    __syncthreads();
    return false;
  }
  const int kept = members - moved;
  part_run(head, begin, end, from, kept, block);
  if (threadIdx.x == 0) {
    head.counts[from] = kept;
    head.counts[into] = moved;
    head.begins[into] = begin + kept;
  }
  move_to_mean(head, from, begin, begin + kept, block);
  move_to_mean(head, into, begin + kept, end, block);
  return true;
}

/// Whether any cluster was refilled.
template <typename T>
__device__ bool refill(const Head<T>& head, const int* offsets, Block& block) {
  for (int c = static_cast<int>(threadIdx.x); c < head.clusters; c += kThreads) {
    head.begins[c] = offsets[c];
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
__global__ void __launch_bounds__(kThreads, 1) settle_kernel(const Settle<T> p) {
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
  head.parted = p.scratch.parted + h * p.state.count;
  head.begins = p.scratch.begins + h * clusters;
  head.whole = p.scratch.whole + h * clusters;
  head.centroids = p.state.centroids + h * clusters * p.state.dim;
  head.dim = p.state.dim;
  head.clusters = clusters;
  const int* offsets = p.offsets + h * (clusters + 1);
  int empty = 0;
  float largest = 0;
  float norms = 0;
  for (int c = static_cast<int>(threadIdx.x); c < clusters; c += kThreads) {
    const int members = offsets[c + 1] - offsets[c];
    head.counts[c] = members;
    empty += members == 0 ? 1 : 0;
    largest = fmaxf(largest, p.moved[h * clusters + c]);
    norms += p.norms[h * clusters + c];
  }
  empty = sum_of_block(empty, block);
  const bool refilled = empty > 0 && refill(head, offsets, block);
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < clusters; c += kThreads)
    if (head.counts[c] > 0) p.state.usable[h * clusters + c] = 1;
  const float moved = largest_of_block({largest, 0}, block).value;
  norms = sum_block(norms, block.partial);
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
    p.scratch = params.scratch;
    p.tolerance = params.tolerance;
    settle_kernel<<<params.state.heads, kThreads, 0, stream_of(context)>>>(p);
  });
  check_launch("kmeans");
}

}  // namespace sparsevid::ops::cuda
