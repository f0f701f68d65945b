// Clusters rounded to multiples by an auction of their tokens (ops/round_clusters.h).
//
// The problem: [40, 75600, 128] bf16 in 300 to 1,000 clusters, of which the tokens near the
// borders of some have to find a place in others.
// Plan: kernels that follow each other, all heads at once.
//   neighbours: a block takes eight clusters and their distances to all; each of its warps then
//     picks the nearest ones of one cluster.
//   costs: a block takes a cluster, whose neighbours it keeps in shared memory less its own
//     centroid; eight lanes share a token.
//   open: a block a head ranks the remainders and sets sizes and prices.
//   Each round is two kernels. gather: blocks of tokens put those of clusters with too many behind
//     each other by cluster, in any order, with where they would go and what that loses. send: a
//     warp a cluster finds, bit by bit, the loss of the last token that has to leave and the place
//     of the last one among equals, so that the outcome does not depend on the order of atomics.
// Shared memory: 8 words a cluster in neighbours, 1 word a cluster elsewhere.
// Bound: neighbours by arithmetic, .02 ms for 300 clusters, .2 for 1,000; costs by reading each
//   token once, .2 ms; a round by latency and launches, some 15 us. Measured, 300 clusters: 2.65 ms
//   in all; where the rest goes is not known.
// Tried: all rounds in one block a head, 4 to 5 ms: one multiprocessor a head, and most stood idle.
#include "ops/cuda/round_clusters.h"

#include <algorithm>
#include <climits>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kNear = kRoundNeighbours;
constexpr unsigned kAll = 0xffffffffU;
constexpr int kNearThreads = 256;
constexpr int kClustersAtOnce = kNearThreads / 32;
constexpr int kCostThreads = 256;
constexpr int kLanesOfToken = 8;
constexpr int kRoundThreads = 512;
constexpr int kPlacesOfThread = 8;
constexpr int kSendThreads = 128;
static_assert(kNear == kLanesOfToken, "each lane writes one cost of its token");

struct Problem {
  const float* centroids;  // [heads, clusters, dim]
  std::int64_t centroids_stride;
  const int* order;
  std::int64_t order_stride;
  const int* offsets;
  std::int64_t offsets_stride;
  int* labels;
  std::int64_t labels_stride;
  int count, clusters, dim, multiple;
  // [heads, clusters, kNear], -1 where there are fewer
  int* neighbours;
  // [heads, clusters]
  float* nearest;  // squared distance to the first of them
  int* sizes;      // now
  int* wanted;     // sizes
  int* begins;     // of its tokens among those of the round
  int* gathered;   // how many are there
  float* prices;
  // [heads]
  float* step;  // of prices; negative: nothing can move
  // [heads, count], by place in the order
  float* costs;  // [.., kNear]
  int* first;    // cluster
  int* now;
  // [heads, count], the tokens of a round
  unsigned* losses;  // as ordered integers
  int* places;
  int* choices;  // where each goes if it has to
};

__device__ bool is_empty(const int* offsets, int c) { return offsets[c] == offsets[c + 1]; }

/// The sum over the lanes of sums[a], in the four lanes from 4 a on.
__device__ float sum_of_lanes(const float (&sums)[kClustersAtOnce]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  static_assert(kClustersAtOnce == 8, "three halvings");
  const bool high = (lane & 16) != 0;
  float four[4];
#pragma unroll
  for (int i = 0; i < 4; ++i)
    four[i] =
        (high ? sums[i + 4] : sums[i]) + __shfl_xor_sync(kAll, high ? sums[i] : sums[i + 4], 16);
  const bool middle = (lane & 8) != 0;
  float two[2];
#pragma unroll
  for (int i = 0; i < 2; ++i)
    two[i] =
        (middle ? four[i + 2] : four[i]) + __shfl_xor_sync(kAll, middle ? four[i] : four[i + 2], 8);
  const bool low = (lane & 4) != 0;
  const float one = (low ? two[1] : two[0]) + __shfl_xor_sync(kAll, low ? two[0] : two[1], 4);
  return sum_lanes<4>(one);
}

template <int kWidth>
__global__ void __launch_bounds__(kNearThreads) find_neighbours(const Problem p) {
  extern __shared__ float distances[];  // [kClustersAtOnce, clusters]
  const int head = static_cast<int>(blockIdx.y);
  const int begin = static_cast<int>(blockIdx.x) * kClustersAtOnce;
  const float* centroids = p.centroids + head * p.centroids_stride;
  const int* offsets = p.offsets + head * p.offsets_stride;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int column = 0; column < p.dim; column += 32 * kWidth) {
    const int d = column + lane * kWidth;
    float own[kClustersAtOnce][kWidth] = {};
#pragma unroll
    for (int a = 0; a < kClustersAtOnce; ++a)
      if (d < p.dim && begin + a < p.clusters)
        load_floats(centroids + static_cast<std::int64_t>(begin + a) * p.dim + d, own[a]);
#pragma unroll 4
    for (int c = warp; c < p.clusters; c += kNearThreads / 32) {
      float values[kWidth] = {};
      if (d < p.dim) load_floats(centroids + static_cast<std::int64_t>(c) * p.dim + d, values);
      float sums[kClustersAtOnce] = {};
#pragma unroll
      for (int a = 0; a < kClustersAtOnce; ++a)
#pragma unroll
        for (int w = 0; w < kWidth; ++w)
          sums[a] += (own[a][w] - values[w]) * (own[a][w] - values[w]);
      const float sum = sum_of_lanes(sums);
      if (lane % 4 != 0) continue;
      float& distance = distances[lane / 4 * p.clusters + c];
      distance = column == 0 ? sum : distance + sum;
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < kClustersAtOnce * p.clusters; i += kNearThreads)
    if (i % p.clusters == begin + i / p.clusters || is_empty(offsets, i % p.clusters))
      distances[i] = INFINITY;
  __syncthreads();
  const int cluster = begin + warp;
  if (cluster >= p.clusters) return;
  float* of_cluster = distances + warp * p.clusters;
  int* found = p.neighbours + (static_cast<std::int64_t>(head) * p.clusters + cluster) * kNear;
  for (int n = 0; n < kNear; ++n) {
    float least = INFINITY;
    int best = INT_MAX;
    for (int c = lane; c < p.clusters; c += 32)
      if (of_cluster[c] < least) {
        least = of_cluster[c];
        best = c;
      }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      const float other_least = __shfl_xor_sync(kAll, least, distance);
      const int other = __shfl_xor_sync(kAll, best, distance);
      if (other_least < least || (other_least == least && other < best)) {
        least = other_least;
        best = other;
      }
    }
    if (lane == 0) {
      found[n] = best == INT_MAX ? -1 : best;
      if (n == 0) p.nearest[static_cast<std::int64_t>(head) * p.clusters + cluster] = least;
      if (best != INT_MAX) of_cluster[best] = INFINITY;
    }
    __syncwarp();
  }
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kCostThreads)
    find_costs(const Problem p, const T* x, std::int64_t head_stride, std::int64_t row_stride) {
  extern __shared__ float memory[];
  float* own = memory;              // [dim]
  float* towards = memory + p.dim;  // [kNear, dim]: from the cluster's centroid to others
  __shared__ float lengths[kNear];
  const int c = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int* offsets = p.offsets + head * p.offsets_stride;
  const int begin = offsets[c];
  const int end = offsets[c + 1];
  if (begin == end) return;
  const float* centroids = p.centroids + head * p.centroids_stride;
  const int* neighbours = p.neighbours + (static_cast<std::int64_t>(head) * p.clusters + c) * kNear;
  for (int d = static_cast<int>(threadIdx.x); d < p.dim; d += kCostThreads)
    own[d] = centroids[static_cast<std::int64_t>(c) * p.dim + d];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int n = warp; n < kNear; n += kCostThreads / 32) {
    const int other = neighbours[n] < 0 ? c : neighbours[n];
    float sum = 0;
    for (int d = static_cast<int>(threadIdx.x) % 32; d < p.dim; d += 32) {
      const float difference = centroids[static_cast<std::int64_t>(other) * p.dim + d] -
                               centroids[static_cast<std::int64_t>(c) * p.dim + d];
      towards[n * p.dim + d] = difference;
      sum += difference * difference;
    }
    sum = sum_lanes(sum);
    if (threadIdx.x % 32 == 0) lengths[n] = sum;
  }
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kLanesOfToken;
  const int* order = p.order + head * p.order_stride;
  const std::int64_t first_of_head = static_cast<std::int64_t>(head) * p.count;
  constexpr int kTokens = kCostThreads / kLanesOfToken;
  // All lanes of a warp stay together: those behind the end take the last token once more.
  for (int i = begin; i < end; i += kTokens) {
    const int wanted = i + static_cast<int>(threadIdx.x) / kLanesOfToken;
    const int place = min(wanted, end - 1);
    const T* row = x + head * head_stride + order[place] * row_stride;
    float sums[kNear] = {};
    for (int d = lane * kWidth; d < p.dim; d += kLanesOfToken * kWidth) {
      float values[kWidth];
      unpack(load_pack<T, kWidth>(row + d), values);
#pragma unroll
      for (int w = 0; w < kWidth; ++w) values[w] -= own[d + w];
#pragma unroll
      for (int n = 0; n < kNear; ++n)
#pragma unroll
        for (int w = 0; w < kWidth; ++w) sums[n] += values[w] * towards[n * p.dim + d + w];
    }
    float cost = 0;
#pragma unroll
    for (int n = 0; n < kNear; ++n) {
      const float sum = sum_lanes<kLanesOfToken>(sums[n]);
      if (n == lane) cost = lengths[n] - 2 * sum;
    }
    if (wanted >= end) continue;
    p.costs[(first_of_head + place) * kNear + lane] = cost;
    if (lane == 0) p.first[first_of_head + place] = p.now[first_of_head + place] = c;
  }
}

/// Smaller floats are smaller integers; what is no number is the largest.
__device__ unsigned ordered(float value) {
  if (value != value) value = INFINITY;
  const unsigned bits = __float_as_uint(value + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ float from_ordered(unsigned bits) {
  return __uint_as_float((bits & 0x80000000U) != 0 ? bits & 0x7fffffffU : ~bits);
}

/// Members of a cluster whose values its warp keeps in registers.
constexpr int kKept = 16;

/// The `rank`-th smallest (from 1) of `count` values, by a warp.
template <typename Value>
__device__ unsigned smallest(int count, int rank, const Value& value) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  unsigned kept[kKept];
  unsigned least = UINT_MAX;
  unsigned most = 0;
#pragma unroll
  for (int k = 0; k < kKept; ++k) {
    const int i = k * 32 + lane;
    kept[k] = i < count ? value(i) : UINT_MAX;
    least = min(least, kept[k]);
    if (i < count) most = max(most, kept[k]);
  }
  for (int i = kKept * 32 + lane; i < count; i += 32) {
    least = min(least, value(i));
    most = max(most, value(i));
  }
  least = __reduce_min_sync(kAll, least);
  most = __reduce_max_sync(kAll, most);
  if (least == most) return least;
  // Bits above the first in which they differ are those of all.
  unsigned bit = 0x80000000U >> __clz(static_cast<int>(least ^ most));
  unsigned found = least & ~(2 * bit - 1);
  for (; bit != 0; bit >>= 1) {
    const unsigned candidate = found | bit;
    int below = 0;
#pragma unroll
    for (int k = 0; k < kKept; ++k) below += kept[k] < candidate ? 1 : 0;
    for (int i = kKept * 32 + lane; i < count; i += 32) below += value(i) < candidate ? 1 : 0;
    below = __reduce_add_sync(kAll, below);
    if (below < rank) found = candidate;
  }
  return found;
}

/// The sum of `value` over the threads before this one, and of all in `total`.
__device__ int sum_before(int value, int* of_warps, int& total) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  int sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(kAll, sum, distance);
    if (lane >= distance) sum += before;
  }
  if (lane == 31) of_warps[warp] = sum;
  __syncthreads();
  int before = 0;
  total = 0;
  for (int w = 0; w < kRoundThreads / 32; ++w) {
    if (w < warp) before += of_warps[w];
    total += of_warps[w];
  }
  __syncthreads();
  return before + sum - value;
}

/// kRoundStep of the mean over clusters with tokens; negative where there are fewer than two.
__device__ float price_step(const Problem& p, const int* offsets, const float* nearest) {
  double sum = 0;
  int used = 0;
  for (int c = static_cast<int>(threadIdx.x) % 32; c < p.clusters; c += 32) {
    if (is_empty(offsets, c) || nearest[c] == INFINITY) continue;
    sum += nearest[c];
    ++used;
  }
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAll, sum, distance);
  used = __reduce_add_sync(kAll, used);
  return used < 2 ? -1 : kRoundStep * static_cast<float>(sum / used);
}

__global__ void __launch_bounds__(kRoundThreads) open_auction(const Problem p) {
  extern __shared__ int remainders[];
  __shared__ int of_warps[kRoundThreads / 32];
  const int head = static_cast<int>(blockIdx.x);
  const int* offsets = p.offsets + head * p.offsets_stride;
  const std::int64_t clusters_before = static_cast<std::int64_t>(head) * p.clusters;
  int sum = 0;
  for (int begin = 0; begin < p.clusters; begin += kRoundThreads) {
    const int c = begin + static_cast<int>(threadIdx.x);
    int remainder = 0;
    if (c < p.clusters) {
      const int size = offsets[c + 1] - offsets[c];
      remainder = remainders[c] = size % p.multiple;
      p.sizes[clusters_before + c] = size;
      p.gathered[clusters_before + c] = 0;
      p.prices[clusters_before + c] = 0;
    }
    int total;
    sum_before(remainder, of_warps, total);
    sum += total;
  }
  const int up = sum / p.multiple;
  for (int c = static_cast<int>(threadIdx.x); c < p.clusters; c += kRoundThreads) {
    const int own = remainders[c];
    int rank = 0;
    for (int other = 0; other < p.clusters; ++other)
      rank += remainders[other] > own || (remainders[other] == own && other < c) ? 1 : 0;
    p.wanted[clusters_before + c] = offsets[c + 1] - offsets[c] - own +
                                    (rank < up ? p.multiple : 0) +
                                    (rank == up ? sum % p.multiple : 0);
  }
  if (threadIdx.x < 32) {
    const float step = price_step(p, offsets, p.nearest + clusters_before);
    if (threadIdx.x == 0) p.step[head] = step;
  }
}

/// Where it is cheapest for the token at `place` to go, and what that loses.
__device__ int cheapest_way_out(const Problem& p, int head, int place, int own, unsigned& loss) {
  const std::int64_t at = static_cast<std::int64_t>(head) * p.count + place;
  const float* prices = p.prices + static_cast<std::int64_t>(head) * p.clusters;
  const int first = p.first[at];
  const int* others = p.neighbours + (static_cast<std::int64_t>(head) * p.clusters + first) * kNear;
  int near[kNear];
  float costs[kNear];
#pragma unroll
  for (int n = 0; n < kNear; n += 4) {
    const Pack<int, 4> four = load_pack<int, 4>(others + n);
#pragma unroll
    for (int i = 0; i < 4; ++i) near[n + i] = four.value[i];
  }
  load_floats(p.costs + at * kNear, costs);
  // Whatever the costs are, even NaN, it is somewhere else.
  int best = own != first ? first : near[0];
  float least = own != first ? prices[first] : costs[0] + prices[best];
  float own_cost = 0;
#pragma unroll
  for (int n = 0; n < kNear; ++n) {
    const int c = near[n];
    if (c == own) own_cost = costs[n];
    if (c < 0 || c == own) continue;
    const float cost = costs[n] + prices[c];
    if (!(cost < least)) continue;
    best = c;
    least = cost;
  }
  loss = ordered(least - own_cost);
  return best;
}

__global__ void __launch_bounds__(kRoundThreads) gather_surplus(const Problem p) {
  extern __shared__ int begins[];  // -1: the cluster has not too many
  __shared__ int of_warps[kRoundThreads / 32];
  const int head = static_cast<int>(blockIdx.y);
  if (p.step[head] < 0) return;
  const std::int64_t clusters_before = static_cast<std::int64_t>(head) * p.clusters;
  int sum = 0;
  for (int begin = 0; begin < p.clusters; begin += kRoundThreads) {
    const int c = begin + static_cast<int>(threadIdx.x);
    const int size = c < p.clusters ? p.sizes[clusters_before + c] : 0;
    const bool too_many = c < p.clusters && size > p.wanted[clusters_before + c];
    int total;
    const int before = sum_before(too_many ? size : 0, of_warps, total);
    if (c < p.clusters) begins[c] = too_many ? sum + before : -1;
    if (too_many && blockIdx.x == 0) p.begins[clusters_before + c] = sum + before;
    sum += total;
  }
  if (sum == 0) return;
  __syncthreads();
  const std::int64_t tokens_before = static_cast<std::int64_t>(head) * p.count;
  const int tokens = p.offsets[head * p.offsets_stride + p.clusters];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int i = 0; i < kPlacesOfThread; ++i) {
    const int place = (static_cast<int>(blockIdx.x) * kPlacesOfThread + i) * kRoundThreads +
                      static_cast<int>(threadIdx.x);
    const int own = place < tokens ? p.now[tokens_before + place] : -1;
    const bool counts = own >= 0 && begins[own] >= 0;
    const unsigned active = __ballot_sync(kAll, counts);
    if (!counts) continue;
    const unsigned same = __match_any_sync(active, own);
    const int leader = __ffs(static_cast<int>(same)) - 1;
    int slot = 0;
    if (lane == leader) slot = atomicAdd(&p.gathered[clusters_before + own], __popc(same));
    slot = __shfl_sync(same, slot, leader) + begins[own] + __popc(same & ((1U << lane) - 1));
    unsigned loss;
    p.choices[tokens_before + slot] = cheapest_way_out(p, head, place, own, loss);
    p.losses[tokens_before + slot] = loss;
    p.places[tokens_before + slot] = place;
  }
}

__global__ void __launch_bounds__(kSendThreads) send_surplus(const Problem p) {
  const int c =
      static_cast<int>(blockIdx.x) * (kSendThreads / 32) + static_cast<int>(threadIdx.x) / 32;
  if (c >= p.clusters) return;
  const int head = static_cast<int>(blockIdx.y);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t clusters_before = static_cast<std::int64_t>(head) * p.clusters;
  const int members = p.gathered[clusters_before + c];
  if (members == 0) return;
  const int leaving = members - p.wanted[clusters_before + c];
  const std::int64_t tokens_before = static_cast<std::int64_t>(head) * p.count;
  const std::int64_t begin = tokens_before + p.begins[clusters_before + c];
  const unsigned* losses = p.losses + begin;
  const int* places = p.places + begin;
  const unsigned loss = smallest(members, leaving, [&](int i) { return losses[i]; });
  int below = 0;
  int equal = 0;
  for (int i = lane; i < members; i += 32) {
    below += losses[i] < loss ? 1 : 0;
    equal += losses[i] == loss ? 1 : 0;
  }
  below = __reduce_add_sync(kAll, below);
  equal = __reduce_add_sync(kAll, equal);
  int last = INT_MAX;
  if (equal > leaving - below)
    last = static_cast<int>(smallest(members, leaving - below, [&](int i) {
      return losses[i] == loss ? static_cast<unsigned>(places[i]) : UINT_MAX;
    }));
  for (int i = lane; i < members; i += 32) {
    const int place = places[i];
    if (losses[i] > loss || (losses[i] == loss && place > last)) continue;
    const int to = p.choices[begin + i];
    p.now[tokens_before + place] = to;
    atomicAdd(&p.sizes[clusters_before + to], 1);
  }
  if (lane != 0) return;
  atomicSub(&p.sizes[clusters_before + c], leaving);
  p.gathered[clusters_before + c] = 0;
  float& price = p.prices[clusters_before + c];
  price = fmaxf(price, from_ordered(loss)) + p.step[head];
}

__global__ void __launch_bounds__(kRoundThreads) write_labels(const Problem p) {
  const int head = static_cast<int>(blockIdx.y);
  if (p.step[head] < 0) return;
  const int place = static_cast<int>(blockIdx.x * kRoundThreads + threadIdx.x);
  if (place >= p.offsets[head * p.offsets_stride + p.clusters]) return;
  p.labels[head * p.labels_stride + p.order[head * p.order_stride + place]] =
      p.now[static_cast<std::int64_t>(head) * p.count + place];
}

/// In whole pieces of 16 bytes: the compiler reads four words at once, also behind the last ones.
std::size_t word_of_each(std::int64_t clusters) {
  return static_cast<std::size_t>(ceil_div<std::int64_t>(clusters, 4)) * 4 * sizeof(int);
}
std::size_t neighbour_bytes(std::int64_t clusters) {
  return static_cast<std::size_t>(clusters) * kClustersAtOnce * sizeof(float);
}

template <typename Kernel>
void allow_shared(Kernel kernel, std::size_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "round_clusters");
}

template <int kWidth>
void launch_neighbours(const Problem& p, int heads, cudaStream_t stream) {
  const std::size_t bytes = neighbour_bytes(p.clusters);
  allow_shared(find_neighbours<kWidth>, bytes);
  find_neighbours<kWidth>
      <<<dim3(ceil_div(p.clusters, kClustersAtOnce), heads), kNearThreads, bytes, stream>>>(p);
}

template <typename T, int kWidth>
void launch_costs(const Problem& p, const TensorView& x, cudaStream_t stream) {
  const std::size_t bytes = (kNear + 1) * static_cast<std::size_t>(p.dim) * sizeof(float);
  allow_shared(find_costs<T, kWidth>, bytes);
  find_costs<T, kWidth>
      <<<dim3(p.clusters, static_cast<unsigned>(x.size(0))), kCostThreads, bytes, stream>>>(
          p, device_pointer<const T>(x), x.stride(0), x.stride(1));
}

}  // namespace

std::string round_clusters_refusal(const RoundClustersParams& params, const Context&) {
  const std::int64_t clusters = params.centroids.size(1);
  const std::int64_t dim = params.centroids.size(2);
  const auto room = static_cast<std::size_t>(device_facts().shared_memory_per_block) - 1024;
  if (std::max(neighbour_bytes(clusters),
               (kNear + 1) * static_cast<std::size_t>(dim) * sizeof(float)) > room)
    return "too many clusters for shared memory";
  return {};
}

void round_clusters(const RoundClustersParams& params, Context& context) {
  const std::int64_t heads = params.x.size(0);
  const std::int64_t count = params.x.size(1);
  const std::int64_t clusters = params.centroids.size(1);
  if (heads == 0 || count == 0 || clusters == 0) return;
  const Arena::Scope scope(context.arena);
  Arena& arena = context.arena;
  Problem p{};
  p.centroids = params.centroids.as<float>();
  p.centroids_stride = params.centroids.stride(0);
  p.order = params.order.as<std::int32_t>();
  p.order_stride = params.order.stride(0);
  p.offsets = params.offsets.as<std::int32_t>();
  p.offsets_stride = params.offsets.stride(0);
  p.labels = params.labels.as<std::int32_t>();
  p.labels_stride = params.labels.stride(0);
  p.count = static_cast<int>(count);
  p.clusters = static_cast<int>(clusters);
  p.dim = static_cast<int>(params.centroids.size(2));
  p.multiple = params.multiple;
  p.neighbours = arena.array<int>(heads * clusters * kNear);
  p.nearest = arena.array<float>(heads * clusters);
  p.sizes = arena.array<int>(heads * clusters);
  p.wanted = arena.array<int>(heads * clusters);
  p.begins = arena.array<int>(heads * clusters);
  p.gathered = arena.array<int>(heads * clusters);
  p.prices = arena.array<float>(heads * clusters);
  p.step = arena.array<float>(heads);
  p.costs = arena.array<float>(heads * count * kNear);
  p.first = arena.array<int>(heads * count);
  p.now = arena.array<int>(heads * count);
  p.losses = arena.array<unsigned>(heads * count);
  p.places = arena.array<int>(heads * count);
  p.choices = arena.array<int>(heads * count);
  const cudaStream_t stream = stream_of(context);
  constexpr int kFloats = 4;
  if (p.dim % kFloats == 0 && aligned_to(p.centroids, 16) && p.centroids_stride % kFloats == 0) {
    launch_neighbours<kFloats>(p, static_cast<int>(heads), stream);
  } else {
    launch_neighbours<1>(p, static_cast<int>(heads), stream);
  }
  check_launch("round_clusters");
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    constexpr int kWidth = 16 / sizeof(T);
    const TensorView& x = params.x;
    if (aligned_to(x.data(), 16) && x.stride(0) % kWidth == 0 && x.stride(1) % kWidth == 0 &&
        p.dim % kWidth == 0) {
      launch_costs<T, kWidth>(p, x, stream);
    } else {
      launch_costs<T, 1>(p, x, stream);
    }
  });
  check_launch("round_clusters");
  const std::size_t bytes = word_of_each(clusters);
  allow_shared(open_auction, bytes);
  allow_shared(gather_surplus, bytes);
  const auto head_blocks = static_cast<unsigned>(heads);
  open_auction<<<head_blocks, kRoundThreads, bytes, stream>>>(p);
  const dim3 pieces(ceil_div(p.count, kRoundThreads * kPlacesOfThread), head_blocks);
  const dim3 senders(ceil_div(p.clusters, kSendThreads / 32), head_blocks);
  for (int round = 0; round < kRoundRounds; ++round) {
    gather_surplus<<<pieces, kRoundThreads, bytes, stream>>>(p);
    send_surplus<<<senders, kSendThreads, 0, stream>>>(p);
  }
  write_labels<<<dim3(ceil_div(p.count, kRoundThreads), head_blocks), kRoundThreads, 0, stream>>>(
      p);
  check_launch("round_clusters");
}

}  // namespace sparsevid::ops::cuda
