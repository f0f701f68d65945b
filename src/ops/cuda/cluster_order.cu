// A stable counting sort of each head's tokens by cluster.
//
// The problem: 40 heads x 75,600 labels, 300 to 1,000 clusters; 24 MB in and out, 6 us at the
//   bandwidth.
// Plan: pieces of 4,096 tokens count their labels; one block a head turns the counts into the place
//   where each piece's members of each cluster begin; the pieces then place their tokens. A warp
//   owns 512 neighbouring tokens and a row of counters in shared memory and walks through them in
//   order, 32 at a time: lanes of the same label find each other by match.any. No atomic decides a
//   place, so the order is stable. A piece is sorted in shared memory first: four to fourteen
//   members of a cluster then go to memory beside each other.
// Shared memory: 16 bits for each warp and cluster, 16 KiB for 1,000 clusters, and a word for each
//   cluster and token, 20 KiB; fewer warps where there are more clusters than that has room for.
// Bound: latency; 25 us expected for the three launches, 55 to 62 measured.
// Tried: each token from its warp to its place at once, 50 us: 32 sectors a store.
#include "ops/cuda/cluster_order.h"

#include <algorithm>

#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kTokensOfWarp = 512;
constexpr int kMostWarps = 8;
constexpr int kScanThreads = 1024;

struct Sort {
  const int* labels;
  std::int64_t labels_stride;
  int* order;
  std::int64_t order_stride;
  int* offsets;
  std::int64_t offsets_stride;
  int* begins;  // [heads, pieces, clusters]: counts, then places
  const int* resting;
  int count, clusters, pieces, tokens_of_piece;

  __device__ bool skip(int head) const { return resting != nullptr && resting[head] != 0; }
};

__global__ void count_labels(const Sort sort) {
  extern __shared__ int counters[];
  const int head = static_cast<int>(blockIdx.y);
  if (sort.skip(head)) return;
  for (int c = static_cast<int>(threadIdx.x); c < sort.clusters; c += blockDim.x) counters[c] = 0;
  __syncthreads();
  const int first = static_cast<int>(blockIdx.x) * sort.tokens_of_piece;
  const int last = min(first + sort.tokens_of_piece, sort.count);
  const int* labels = sort.labels + head * sort.labels_stride;
  for (int i = first + static_cast<int>(threadIdx.x); i < last; i += blockDim.x)
    atomicAdd(&counters[labels[i]], 1);
  __syncthreads();
  int* begins =
      sort.begins + (static_cast<std::int64_t>(head) * sort.pieces + blockIdx.x) * sort.clusters;
  for (int c = static_cast<int>(threadIdx.x); c < sort.clusters; c += blockDim.x)
    begins[c] = counters[c];
}

/// The sum of `value` over the threads before this one, and of all in `total`; `of_warps` has room
/// for each warp of the block.
__device__ int sum_before(int value, int* of_warps, int& total) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  int sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(0xffffffffU, sum, distance);
    if (lane >= distance) sum += before;
  }
  if (lane == 31) of_warps[warp] = sum;
  __syncthreads();
  int before = 0;
  total = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) {
    if (w < warp) before += of_warps[w];
    total += of_warps[w];
  }
  __syncthreads();
  return before + sum - value;
}

__global__ void __launch_bounds__(kScanThreads) place_pieces(const Sort sort) {
  __shared__ int of_warps[kScanThreads / 32];
  const int head = static_cast<int>(blockIdx.x);
  if (sort.skip(head)) return;
  int* begins = sort.begins + static_cast<std::int64_t>(head) * sort.pieces * sort.clusters;
  int* offsets = sort.offsets + head * sort.offsets_stride;
  int placed = 0;
  for (int first = 0; first < sort.clusters; first += kScanThreads) {
    const int c = first + static_cast<int>(threadIdx.x);
    int members = 0;
    if (c < sort.clusters)
      for (int piece = 0; piece < sort.pieces; ++piece)
        members += begins[static_cast<std::int64_t>(piece) * sort.clusters + c];
    int total;
    int begin = placed + sum_before(members, of_warps, total);
    placed += total;
    if (c >= sort.clusters) continue;
    offsets[c] = begin;
    for (int piece = 0; piece < sort.pieces; ++piece) {
      int& place = begins[static_cast<std::int64_t>(piece) * sort.clusters + c];
      const int of_piece = place;
      place = begin;
      begin += of_piece;
    }
  }
  if (threadIdx.x == 0) offsets[sort.clusters] = placed;
}

/// A token in its piece below its label.
struct Labelled {
  static constexpr int kBits = 12;
  static_assert(kMostWarps * kTokensOfWarp <= 1 << kBits);
  unsigned bits;

  __device__ static Labelled of(int token, int label) {
    return {static_cast<unsigned>(label) << kBits | static_cast<unsigned>(token)};
  }
  __device__ int token() const { return static_cast<int>(bits % (1U << kBits)); }
  __device__ int label() const { return static_cast<int>(bits >> kBits); }
};

__global__ void place_tokens(const Sort sort) {
  const int warps = static_cast<int>(blockDim.x) / 32;
  extern __shared__ int memory[];
  const int words = (warps + 1) / 2 * sort.clusters;
  int* shift = memory + words;  // [clusters]: from a place in the piece to one in the order
  auto* sorted = reinterpret_cast<Labelled*>(shift + sort.clusters);
  __shared__ int of_warps[kMostWarps];
  const int head = static_cast<int>(blockIdx.y);
  if (sort.skip(head)) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int i = static_cast<int>(threadIdx.x); i < words; i += blockDim.x) memory[i] = 0;
  __syncthreads();
  const int first_of_piece = static_cast<int>(blockIdx.x) * sort.tokens_of_piece;
  const int first = first_of_piece + warp * kTokensOfWarp;
  const int last = min(first + kTokensOfWarp, sort.count);
  const int* labels = sort.labels + head * sort.labels_stride;
  // Of each cluster the members in the warp's tokens, then their next place in the piece. Two warps
  // share a word, since there is no atomic addition to 16 bits.
  const auto counter = [&](int w, int c) -> unsigned short& {
    return reinterpret_cast<unsigned short*>(memory)[2 * (w / 2 * sort.clusters + c) + w % 2];
  };
  // All labels of the lane, asked for at once; -1 behind the end.
  int label[kTokensOfWarp / 32];
#pragma unroll
  for (int i = 0; i < kTokensOfWarp / 32; ++i) {
    const int token = first + 32 * i + lane;
    label[i] = token < last ? labels[token] : -1;
  }
#pragma unroll
  for (const int l : label)
    if (l >= 0) atomicAdd(&memory[warp / 2 * sort.clusters + l], 1 << warp % 2 * 16);
  __syncthreads();
  const int* begins =
      sort.begins + (static_cast<std::int64_t>(head) * sort.pieces + blockIdx.x) * sort.clusters;
  int placed = 0;
  for (int begin = 0; begin < sort.clusters; begin += blockDim.x) {
    const int c = begin + static_cast<int>(threadIdx.x);
    const int to = c < sort.clusters ? begins[c] : 0;
    int members = 0;
    if (c < sort.clusters)
      for (int w = 0; w < warps; ++w) members += counter(w, c);
    int total;
    int place = placed + sum_before(members, of_warps, total);
    placed += total;
    if (c >= sort.clusters) continue;
    shift[c] = to - place;
    for (int w = 0; w < warps; ++w) {
      const int of_warp = counter(w, c);
      counter(w, c) = static_cast<unsigned short>(place);
      place += of_warp;
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kTokensOfWarp / 32; ++i) {
    const unsigned all = __ballot_sync(~0u, label[i] >= 0);
    if (label[i] >= 0) {
      const unsigned same = __match_any_sync(all, label[i]);
      const int place = counter(warp, label[i]);
      __syncwarp(all);
      if (lane == __ffs(same) - 1)
        counter(warp, label[i]) = static_cast<unsigned short>(place + __popc(same));
      sorted[place + __popc(same & ((1U << lane) - 1))] =
          Labelled::of(first - first_of_piece + 32 * i + lane, label[i]);
    }
    __syncwarp();
  }
  __syncthreads();
  int* order = sort.order + head * sort.order_stride;
  for (int i = static_cast<int>(threadIdx.x); i < placed; i += blockDim.x)
    order[shift[sorted[i].label()] + i] = first_of_piece + sorted[i].token();
}

std::int64_t words_of_piece(std::int64_t clusters, int warps) {
  return ((warps + 1) / 2 + 1) * clusters + warps * kTokensOfWarp;
}

int warps_for(std::int64_t clusters) {
  const std::int64_t room = device_facts().shared_memory_per_block / 4 - kMostWarps;
  int warps = kMostWarps;
  while (warps > 0 && words_of_piece(clusters, warps) > room) --warps;
  return warps;
}

}  // namespace

std::string cluster_order_refusal(const ClusterOrderParams& params, const Context&) {
  const std::int64_t clusters = params.offsets.size(1) - 1;
  if (clusters > 0 && warps_for(clusters) == 0) return "too many clusters for shared memory";
  return {};
}

void cluster_order(const ClusterOrderParams& params, const int* resting, Context& context) {
  Sort sort{};
  const auto heads = static_cast<int>(params.labels.size(0));
  sort.count = static_cast<int>(params.labels.size(1));
  sort.clusters = static_cast<int>(params.offsets.size(1)) - 1;
  if (heads == 0 || sort.clusters == 0) return;
  const Arena::Scope scope(context.arena);
  const int warps = warps_for(sort.clusters);
  sort.tokens_of_piece = warps * kTokensOfWarp;
  sort.pieces = ceil_div(sort.count, sort.tokens_of_piece);
  sort.labels = params.labels.as<std::int32_t>();
  sort.labels_stride = params.labels.stride(0);
  sort.order = params.order.as<std::int32_t>();
  sort.order_stride = params.order.stride(0);
  sort.offsets = params.offsets.as<std::int32_t>();
  sort.offsets_stride = params.offsets.stride(0);
  sort.resting = resting;
  sort.begins = context.arena.array<int>(std::int64_t{heads} * sort.pieces * sort.clusters);
  const cudaStream_t stream = stream_of(context);
  if (sort.pieces > 0) {
    const int counter_bytes = sort.clusters * static_cast<int>(sizeof(int));
    allow_shared_memory(count_labels, counter_bytes, "cluster_order");
    count_labels<<<dim3(sort.pieces, heads), 256, counter_bytes, stream>>>(sort);
  }
  place_pieces<<<heads, kScanThreads, 0, stream>>>(sort);
  if (sort.pieces > 0) {
    const int bytes = static_cast<int>(words_of_piece(sort.clusters, warps) * sizeof(int));
    allow_shared_memory(place_tokens, bytes, "cluster_order");
    place_tokens<<<dim3(sort.pieces, heads), warps * 32, bytes, stream>>>(sort);
  }
  check_launch("cluster_order");
}

void cluster_order(const ClusterOrderParams& params, Context& context) {
  cluster_order(params, nullptr, context);
}

}  // namespace sparsevid::ops::cuda
