// Clusters rounded to multiples by an auction of their tokens (ops/round_clusters.h).
//
// The problem: [40, 75600, 128] bf16 in 300 to 1,000 clusters, of which the tokens near the
// borders of some have to find a place in others.
// Plan: three kernels.
//   neighbours: a block takes eight clusters and their distances to all; each of its warps then
//     picks the nearest ones of one cluster.
//   costs: a block takes a cluster, whose neighbours it keeps in shared memory less its own
//     centroid; eight lanes share a token.
//   auction: a block of 1,024 threads a head, all rounds in one launch. The tokens of clusters with
//     too many are gathered by cluster, in any order; a warp a cluster then finds the loss of the
//     last one that has to leave, bit by bit, and the place of the last one among equals. So the
//     outcome does not depend on the order of atomics.
// Shared memory: 7 words a cluster in the auction, 8 words and eight centroids in neighbours.
// Bound: neighbours by arithmetic, .02 ms for 300 clusters, .2 for 1,000; costs by reading each
//   token once, .2 ms; the auction by latency: it reads the clusters of 75,600 tokens and gathers
//   some thousands in each of up to 32 rounds, while two thirds of the chip have nothing to do.
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
constexpr int kAuctionThreads = 1024;
constexpr int kWordsOfCluster = 7;
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
  int* neighbours;   // [heads, clusters, kNear], -1 where there are fewer
  float* nearest;    // [heads, clusters] squared distance to the first of them
  float* costs;      // [heads, count, kNear], by place in the order
  int* first;        // [heads, count] cluster of each place
  int* now;          // [heads, count]
  unsigned* losses;  // [heads, count] of the tokens of a round, as ordered integers
  int* places;       // [heads, count]
  int* choices;      // [heads, count] where each goes if it has to
};

__device__ bool is_empty(const int* offsets, int c) { return offsets[c] == offsets[c + 1]; }

template <int kWidth>
__global__ void __launch_bounds__(kNearThreads) find_neighbours(const Problem p) {
  extern __shared__ float memory[];
  float* own = memory;                               // [kClustersAtOnce, dim]
  float* distances = own + kClustersAtOnce * p.dim;  // [kClustersAtOnce, clusters]
  const int head = static_cast<int>(blockIdx.y);
  const int begin = static_cast<int>(blockIdx.x) * kClustersAtOnce;
  const float* centroids = p.centroids + head * p.centroids_stride;
  const int* offsets = p.offsets + head * p.offsets_stride;
  for (int i = static_cast<int>(threadIdx.x); i < kClustersAtOnce * p.dim; i += kNearThreads)
    own[i] = begin + i / p.dim < p.clusters
                 ? centroids[static_cast<std::int64_t>(begin) * p.dim + i]
                 : 0;
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < p.clusters; c += kNearThreads) {
    float sums[kClustersAtOnce] = {};
    for (int d = 0; d < p.dim; d += kWidth) {
      float values[kWidth];
      load_floats(centroids + static_cast<std::int64_t>(c) * p.dim + d, values);
#pragma unroll
      for (int a = 0; a < kClustersAtOnce; ++a)
#pragma unroll
        for (int w = 0; w < kWidth; ++w) {
          const float difference = own[a * p.dim + d + w] - values[w];
          sums[a] += difference * difference;
        }
    }
    const bool out = is_empty(offsets, c);
#pragma unroll
    for (int a = 0; a < kClustersAtOnce; ++a)
      distances[a * p.clusters + c] = out || c == begin + a ? INFINITY : sums[a];
  }
  __syncthreads();
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
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

/// The `rank`-th smallest (from 1) of those of `count` values that are counted, by a warp.
template <typename Value>
__device__ unsigned smallest(int count, int rank, const Value& value) {
  unsigned found = 0;
  for (unsigned bit = 0x80000000U; bit != 0; bit >>= 1) {
    const unsigned candidate = found | bit;
    int below = 0;
    for (int i = static_cast<int>(threadIdx.x) % 32; i < count; i += 32)
      below += value(i) < candidate ? 1 : 0;
    below = __reduce_add_sync(kAll, below);
    if (below < rank) found = candidate;
  }
  return found;
}

/// What the auction keeps of each cluster, in shared memory.
struct OfClusters {
  __device__ OfClusters(int* memory, int clusters)
      : sizes(memory),
        wanted(sizes + clusters),
        begins(wanted + clusters),
        ends(begins + clusters),
        last_places(ends + clusters),
        last_losses(reinterpret_cast<unsigned*>(last_places + clusters)),
        prices(reinterpret_cast<float*>(last_losses + clusters)) {}
  int* sizes;             // now
  int* wanted;            // sizes
  int* begins;            // of its tokens among those of the round
  int* ends;              // begins where none have to leave
  int* last_places;       // of those that leave with
  unsigned* last_losses;  // this loss
  float* prices;
};

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
  for (int w = 0; w < kAuctionThreads / 32; ++w) {
    if (w < warp) before += of_warps[w];
    total += of_warps[w];
  }
  __syncthreads();
  return before + sum - value;
}

/// Sizes, wanted sizes, prices.
__device__ void open_auction(const Problem& p, const int* offsets, const OfClusters& all,
                             int* of_warps) {
  int remainders = 0;
  for (int begin = 0; begin < p.clusters; begin += kAuctionThreads) {
    const int c = begin + static_cast<int>(threadIdx.x);
    int remainder = 0;
    if (c < p.clusters) {
      all.sizes[c] = offsets[c + 1] - offsets[c];
      remainder = all.begins[c] = all.sizes[c] % p.multiple;
      all.prices[c] = 0;
    }
    int total;
    sum_before(remainder, of_warps, total);
    remainders += total;
  }
  __syncthreads();
  const int up = remainders / p.multiple;
  for (int c = static_cast<int>(threadIdx.x); c < p.clusters; c += kAuctionThreads) {
    const int own = all.begins[c];
    int rank = 0;
    for (int other = 0; other < p.clusters; ++other)
      rank += all.begins[other] > own || (all.begins[other] == own && other < c) ? 1 : 0;
    all.wanted[c] = all.sizes[c] - own + (rank < up ? p.multiple : 0) +
                    (rank == up ? remainders % p.multiple : 0);
  }
  __syncthreads();
}

/// kRoundStep of the mean over clusters with tokens; 0 where there are fewer than two.
__device__ float price_step(const Problem& p, const int* offsets, int head) {
  const float* nearest = p.nearest + static_cast<std::int64_t>(head) * p.clusters;
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

/// Where it is cheapest for the token at `place` to go, and what that loses.
__device__ int cheapest_way_out(const Problem& p, const OfClusters& all, int head, int place,
                                unsigned& loss) {
  const std::int64_t at = static_cast<std::int64_t>(head) * p.count + place;
  const int first = p.first[at];
  const int own = p.now[at];
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
  float least = own != first ? all.prices[first] : costs[0] + all.prices[best];
  float own_cost = 0;
#pragma unroll
  for (int n = 0; n < kNear; ++n) {
    const int c = near[n];
    if (c == own) own_cost = costs[n];
    if (c < 0 || c == own) continue;
    const float cost = costs[n] + all.prices[c];
    if (!(cost < least)) continue;
    best = c;
    least = cost;
  }
  loss = ordered(least - own_cost);
  return best;
}

__global__ void __launch_bounds__(kAuctionThreads, 1) hold_auction(const Problem p) {
  extern __shared__ int shared[];
  __shared__ int of_warps[kAuctionThreads / 32];
  const OfClusters all(shared, p.clusters);
  const int head = static_cast<int>(blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int* offsets = p.offsets + head * p.offsets_stride;
  const float step = price_step(p, offsets, head);
  if (step < 0) return;
  open_auction(p, offsets, all, of_warps);
  const std::int64_t first_of_head = static_cast<std::int64_t>(head) * p.count;
  int* now = p.now + first_of_head;
  unsigned* losses = p.losses + first_of_head;
  int* places = p.places + first_of_head;
  int* choices = p.choices + first_of_head;
  const int tokens = offsets[p.clusters];
  for (int round = 0; round < kRoundRounds; ++round) {
    int placed = 0;
    for (int begin = 0; begin < p.clusters; begin += kAuctionThreads) {
      const int c = begin + static_cast<int>(threadIdx.x);
      const int members = c < p.clusters && all.sizes[c] > all.wanted[c] ? all.sizes[c] : 0;
      int total;
      const int before = sum_before(members, of_warps, total);
      if (c < p.clusters) all.begins[c] = all.ends[c] = placed + before;
      placed += total;
    }
    if (placed == 0) break;
    __syncthreads();
    for (int begin = 0; begin < tokens; begin += kAuctionThreads) {
      const int place = begin + static_cast<int>(threadIdx.x);
      const int own = place < tokens ? now[place] : -1;
      const bool counts = own >= 0 && all.sizes[own] > all.wanted[own];
      const unsigned active = __ballot_sync(kAll, counts);
      if (!counts) continue;
      const unsigned same = __match_any_sync(active, own);
      const int leader = __ffs(static_cast<int>(same)) - 1;
      int slot = 0;
      if (lane == leader) slot = atomicAdd(&all.ends[own], __popc(same));
      slot = __shfl_sync(same, slot, leader) + __popc(same & ((1U << lane) - 1));
      unsigned loss;
      choices[slot] = cheapest_way_out(p, all, head, place, loss);
      losses[slot] = loss;
      places[slot] = place;
    }
    __syncthreads();
    for (int c = warp; c < p.clusters; c += kAuctionThreads / 32) {
      const int begin = all.begins[c];
      const int members = all.ends[c] - begin;
      if (members == 0) continue;
      const int leaving = all.sizes[c] - all.wanted[c];
      const unsigned loss = smallest(members, leaving, [&](int i) { return losses[begin + i]; });
      int below = 0;
      int equal = 0;
      for (int i = lane; i < members; i += 32) {
        below += losses[begin + i] < loss ? 1 : 0;
        equal += losses[begin + i] == loss ? 1 : 0;
      }
      below = __reduce_add_sync(kAll, below);
      equal = __reduce_add_sync(kAll, equal);
      unsigned last = INT_MAX;
      if (equal > leaving - below)
        last = smallest(members, leaving - below, [&](int i) {
          return losses[begin + i] == loss ? static_cast<unsigned>(places[begin + i]) : UINT_MAX;
        });
      if (lane == 0) {
        all.last_losses[c] = loss;
        all.last_places[c] = static_cast<int>(last);
        all.prices[c] = fmaxf(all.prices[c], from_ordered(loss)) + step;
      }
    }
    __syncthreads();
    for (int c = warp; c < p.clusters; c += kAuctionThreads / 32) {
      const int begin = all.begins[c];
      const int members = all.ends[c] - begin;
      for (int i = lane; i < members; i += 32) {
        const unsigned loss = losses[begin + i];
        const int place = places[begin + i];
        if (loss > all.last_losses[c] || (loss == all.last_losses[c] && place > all.last_places[c]))
          continue;
        const int to = choices[begin + i];
        now[place] = to;
        atomicAdd(&all.sizes[to], 1);
        atomicSub(&all.sizes[c], 1);
      }
    }
    __syncthreads();
  }
  int* labels = p.labels + head * p.labels_stride;
  const int* order = p.order + head * p.order_stride;
  for (int place = static_cast<int>(threadIdx.x); place < tokens; place += kAuctionThreads)
    labels[order[place]] = now[place];
}

std::size_t auction_bytes(std::int64_t clusters) {
  return static_cast<std::size_t>(clusters) * kWordsOfCluster * sizeof(int);
}
std::size_t neighbour_bytes(std::int64_t clusters, std::int64_t dim) {
  return static_cast<std::size_t>(clusters + dim) * kClustersAtOnce * sizeof(float);
}

template <typename Kernel>
void allow_shared(Kernel kernel, std::size_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "round_clusters");
}

template <int kWidth>
void launch_neighbours(const Problem& p, int heads, cudaStream_t stream) {
  const std::size_t bytes = neighbour_bytes(p.clusters, p.dim);
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
  if (std::max({auction_bytes(clusters), neighbour_bytes(clusters, dim),
                (kNear + 1) * static_cast<std::size_t>(dim) * sizeof(float)}) > room)
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
  allow_shared(hold_auction, auction_bytes(clusters));
  hold_auction<<<static_cast<unsigned>(heads), kAuctionThreads, auction_bytes(clusters), stream>>>(
      p);
  check_launch("round_clusters");
}

}  // namespace sparsevid::ops::cuda
