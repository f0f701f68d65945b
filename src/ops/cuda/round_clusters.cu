// Clusters rounded to multiples by an auction of their tokens (ops/round_clusters.h).
//
// The problem: [40, 75600, 128] bf16 in 300 to 1,000 clusters, of which the tokens near the
// borders of some have to find a place in others.
// Plan: kernels that follow each other, all heads at once.
//   neighbours: a block takes eight clusters and their distances to all, a lane one of these at a
//     time; each of its warps then picks the nearest ones of one cluster.
//   costs: round_clusters_costs.h; for other types and head_dims a block takes a cluster, whose
//     neighbours it keeps in shared memory less its own centroid, and eight lanes share a token.
//   open: a block a head ranks the remainders and sets sizes and prices.
//   All rounds are one kernel, round_clusters_auction.h.
// Shared memory: 8 words a cluster in neighbours, up to 6 words a cluster elsewhere.
// Bound: neighbours by arithmetic, .03 ms for 300 clusters (.13 measured); costs by reading each
//   token once, .2 ms (.25); the rounds by latency, .3 ms (1.0).
// Tried: all rounds in one block a head, 4 to 5 ms: one multiprocessor a head, and most stood idle.
//   Two launches a round, which look at every token, 2.6 to 3.2 ms in all.
#include "ops/cuda/round_clusters.h"

#include <algorithm>
#include <climits>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/round_clusters_auction.h"
#include "ops/cuda/round_clusters_costs.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kNearThreads = 256;
constexpr int kClustersAtOnce = kNearThreads / 32;
constexpr int kCostThreads = 256;
constexpr int kLanesOfToken = 8;
constexpr int kRoundThreads = 512;
static_assert(kNear == kLanesOfToken, "each lane writes one cost of its token");

__device__ bool is_empty(const int* offsets, int c) { return offsets[c] == offsets[c + 1]; }

/// Columns of centroids that a warp keeps at a time; four more spread rows over the banks.
constexpr int kNearColumns = 32;
constexpr int kNearPitch = kNearColumns + 4;
constexpr std::size_t kNearStaticBytes = sizeof(float) * kNearThreads * kNearPitch;

__host__ __device__ int in_columns(int dim) {
  return (dim + kNearColumns - 1) / kNearColumns * kNearColumns;
}

__global__ void __launch_bounds__(kNearThreads) find_neighbours(const RoundProblem p) {
  extern __shared__ __align__(16) float memory[];
  float* own = memory;  // [kClustersAtOnce, in_columns(dim)]
  const int columns = in_columns(p.dim);
  float* distances = memory + kClustersAtOnce * columns;  // [kClustersAtOnce, clusters]
  __shared__ __align__(16) float others[kNearThreads / 32][32][kNearPitch];
  const int head = static_cast<int>(blockIdx.y);
  const int begin = static_cast<int>(blockIdx.x) * kClustersAtOnce;
  const float* centroids = p.centroids + head * p.centroids_stride;
  const int* offsets = p.offsets + head * p.offsets_stride;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto value = [&](int c, int d) {
    return c < p.clusters && d < p.dim ? centroids[static_cast<std::int64_t>(c) * p.dim + d] : 0.F;
  };
  for (int i = static_cast<int>(threadIdx.x); i < kClustersAtOnce * columns; i += kNearThreads)
    own[i] = value(begin + i / columns, i % columns);
  __syncthreads();
  for (int first = 32 * warp; first < p.clusters; first += kNearThreads) {
    float squared[kClustersAtOnce] = {};
    for (int column = 0; column < columns; column += kNearColumns) {
      __syncwarp();
#pragma unroll 8
      for (int c = 0; c < 32; ++c) others[warp][c][lane] = value(first + c, column + lane);
      __syncwarp();
#pragma unroll 2
      for (int d = 0; d < kNearColumns; d += 4) {
        float to[4];
        load_floats(&others[warp][lane][d], to);
#pragma unroll
        for (int a = 0; a < kClustersAtOnce; ++a) {
          float from[4];
          load_floats(&own[a * columns + column + d], from);
#pragma unroll
          for (int i = 0; i < 4; ++i) squared[a] += (from[i] - to[i]) * (from[i] - to[i]);
        }
      }
    }
    const int c = first + lane;
    if (c >= p.clusters) continue;
#pragma unroll
    for (int a = 0; a < kClustersAtOnce; ++a)
      distances[a * p.clusters + c] =
          c == begin + a || is_empty(offsets, c) ? INFINITY : squared[a];
  }
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
    find_costs(const RoundProblem p, const T* x, std::int64_t head_stride,
               std::int64_t row_stride) {
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
    if (lane == 0) p.now[first_of_head + place] = TokenPlace::at_first(c);
  }
}

/// kRoundStep of the mean over clusters with tokens; negative where there are fewer than two.
__device__ float price_step(const RoundProblem& p, const int* offsets, const float* nearest) {
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

__global__ void __launch_bounds__(kRoundThreads) open_auction(const RoundProblem p) {
  extern __shared__ int remainders[];
  __shared__ int sum;
  const int head = static_cast<int>(blockIdx.x);
  const int* offsets = p.offsets + head * p.offsets_stride;
  const std::int64_t clusters_before = static_cast<std::int64_t>(head) * p.clusters;
  if (threadIdx.x == 0) {
    sum = 0;
    p.wanderers[head] = 0;
    p.arrived[head] = 0;
  }
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < p.clusters; c += kRoundThreads) {
    const int size = offsets[c + 1] - offsets[c];
    remainders[c] = size % p.multiple;
    atomicAdd(&sum, size % p.multiple);
    p.sizes[clusters_before + c] = size;
    p.guests[clusters_before + c] = 0;
    p.gathered[clusters_before + c] = 0;
    p.prices[clusters_before + c] = 0;
  }
  __syncthreads();
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

/// In whole pieces of 16 bytes: the compiler reads four words at once, also behind the last ones.
std::size_t word_of_each(std::int64_t clusters) {
  return static_cast<std::size_t>(ceil_div<std::int64_t>(clusters, 4)) * 4 * sizeof(int);
}
std::size_t neighbour_bytes(std::int64_t clusters, std::int64_t dim) {
  return (in_columns(static_cast<int>(dim)) + static_cast<std::size_t>(clusters)) *
         kClustersAtOnce * sizeof(float);
}

void launch_neighbours(const RoundProblem& p, int heads, cudaStream_t stream) {
  const std::size_t bytes = neighbour_bytes(p.clusters, p.dim);
  allow_shared_memory(find_neighbours, bytes, "round_clusters");
  find_neighbours<<<dim3(ceil_div(p.clusters, kClustersAtOnce), heads), kNearThreads, bytes,
                    stream>>>(p);
  check_launch("round_clusters");
}

template <typename T, int kWidth>
void launch_costs(const RoundProblem& p, const TensorView& x, cudaStream_t stream) {
  const std::size_t bytes = (kNear + 1) * static_cast<std::size_t>(p.dim) * sizeof(float);
  allow_shared_memory(find_costs<T, kWidth>, bytes, "round_clusters");
  find_costs<T, kWidth>
      <<<dim3(p.clusters, static_cast<unsigned>(x.size(0))), kCostThreads, bytes, stream>>>(
          p, device_pointer<const T>(x), x.stride(0), x.stride(1));
}

void launch_costs(const RoundProblem& p, const TensorView& x, cudaStream_t stream) {
  with_float_type(x.dtype(), [&](auto element) {
    using T = decltype(element);
    constexpr int kWidth = 16 / sizeof(T);
    const bool wide = aligned_to(x.data(), 16) && x.stride(0) % kWidth == 0 &&
                      x.stride(1) % kWidth == 0 && p.dim % kWidth == 0;
    if constexpr (std::is_same_v<T, device_bf16>) {
      const dim3 blocks(p.clusters, static_cast<unsigned>(x.size(0)));
      const auto by_products = [&](auto kernel) {
        kernel<<<blocks, kProductThreads, 0, stream>>>(p, device_pointer<const T>(x), x.stride(0),
                                                       x.stride(1));
      };
      if (wide && p.dim == 64) return by_products(find_costs_by_products<64>);
      if (wide && p.dim == 128) return by_products(find_costs_by_products<128>);
    }
    return wide ? launch_costs<T, kWidth>(p, x, stream) : launch_costs<T, 1>(p, x, stream);
  });
  check_launch("round_clusters");
}

/// As many blocks as run at once, shared by the heads; at most one for every eight clusters, which
/// is one for each warp.
void launch_auction(const RoundProblem& p, int heads, cudaStream_t stream) {
  const std::size_t bytes = AuctionRound::kWords * word_of_each(p.clusters) + word_of_each(1);
  allow_shared_memory(auction_kernel, bytes, "round_clusters");
  int of_multiprocessor = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&of_multiprocessor, auction_kernel,
                                                      kAuctionThreads, bytes),
        "round_clusters");
  const int blocks = of_multiprocessor * device_facts().multiprocessors;
  const int of_head = std::clamp(blocks / heads, 1, ceil_div(p.clusters, kAuctionWarps));
  const dim3 grid(of_head, std::min(heads, blocks / of_head));
  RoundProblem problem = p;
  void* arguments[] = {&problem, &heads};
  check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(&auction_kernel), grid,
                                    dim3(kAuctionThreads), arguments, bytes, stream),
        "round_clusters");
}

}  // namespace

std::string round_clusters_refusal(const RoundClustersParams& params, const Context&) {
  const std::int64_t clusters = params.centroids.size(1);
  const std::int64_t dim = params.centroids.size(2);
  const auto room = static_cast<std::size_t>(device_facts().shared_memory_per_block) - 1024;
  // The rounds need less than the neighbours.
  static_assert(AuctionRound::kWords < kClustersAtOnce && sizeof(AuctionRoom) < kNearStaticBytes);
  if (std::max(neighbour_bytes(clusters, dim) + kNearStaticBytes,
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
  RoundProblem p{};
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
  p.gathered = arena.array<int>(heads * clusters);
  p.guests = arena.array<int>(heads * clusters);
  p.prices = arena.array<float>(heads * clusters);
  p.step = arena.array<float>(heads);
  p.wanderers = arena.array<int>(heads);
  p.arrived = arena.array<unsigned>(heads);
  p.costs = arena.array<float>(heads * count * kNear);
  p.now = arena.array<TokenPlace>(heads * count);
  p.numbers = arena.array<int>(heads * count);
  p.wandered = arena.array<Wanderer>(heads * count);
  p.dealt = arena.array<int>(heads * count);
  p.losses = arena.array<unsigned>(2 * heads * count);
  p.ways = arena.array<Way>(2 * heads * count);
  const cudaStream_t stream = stream_of(context);
  launch_neighbours(p, static_cast<int>(heads), stream);
  launch_costs(p, params.x, stream);
  const std::size_t bytes = word_of_each(clusters);
  allow_shared_memory(open_auction, bytes, "round_clusters");
  const auto head_blocks = static_cast<unsigned>(heads);
  open_auction<<<head_blocks, kRoundThreads, bytes, stream>>>(p);
  check_launch("round_clusters");
  launch_auction(p, static_cast<int>(heads), stream);
}

}  // namespace sparsevid::ops::cuda
