// The mass that every query gives each cluster of keys, averaged over the clusters of queries.
//
// The problem: 40 heads x 75,600 queries x 1,000 means x 128: 0.77 TFLOP a product, 3.0 billion
//   exponentials, 0.77 GB of queries, 48 MB of scores.
// Plan: the queries of a cluster in chunks of 64, gathered by q_order; for each chunk the masses of
//   all means, added up over its queries (score_kernel.h), go to memory, 4 KB a chunk, and are
//   averaged by a small kernel, always in the same order. Sizes of clusters are factors, not part
//   of the logits: means of empty clusters are replaced by those of others and count 0 times.
// Bound: the product on the tensor cores and the exponentials, 16 a clock, 1.0 ms each. Chunks of
//   clusters that are no multiple of 64 waste rows, 12 % at 252.
#include "ops/cuda/cluster_scores_hopper/cluster_scores_hopper.h"

#include <algorithm>

#include "ops/cuda/cluster_scores_hopper/score_kernel.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/kmeans_hopper/pack_centroids.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr float kLog2E = 1.4426950408889634F;
constexpr int kFewestChunks = 4;  // of a team, or bringing the means would cost more
constexpr std::int64_t kMostSumBytes = 256 << 20;  // of chunks: as many heads at a time as fit

struct Means {
  static constexpr bool kNegative = false;
  static constexpr bool kExchanged = false;
  const float* centroids;
  std::int64_t head_stride;
  const int* offsets;
  std::int64_t offsets_stride;
  int clusters;

  __device__ bool skip(int) const { return false; }
  __device__ int size(int head, int c) const {
    if (c >= clusters) return 0;
    const int* row = offsets + head * offsets_stride;
    return row[c + 1] - row[c];
  }
  /// Its own mean, or that of the first cluster that has one: its logits are no new extremes.
  __device__ int row(int head, int c) const {
    if (size(head, c) > 0) return c;
    for (int first = 0; first < clusters; first += 32) {
      const int own = first + static_cast<int>(threadIdx.x) % 32;
      const unsigned filled = __ballot_sync(0xffffffffU, size(head, own) > 0);
      if (filled != 0) return first + __ffs(filled) - 1;
    }
    return -1;
  }
  __device__ float behind(int head, int c, float, float) const {
    return static_cast<float>(size(head, c));
  }
};

/// One block a head; clusters one after another, since there are few.
__global__ void list_chunks(const Chunks p) {
  const auto head = static_cast<std::int64_t>(blockIdx.x);
  const int* offsets = p.q_offsets + head * p.q_offsets_stride;
  int* firsts = p.firsts + head * (p.q_clusters + 1);
  __shared__ int of_warps[32];
  __shared__ int placed;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (threadIdx.x == 0) placed = 0;
  for (int begin = 0; begin < p.q_clusters; begin += 1024) {
    const int c = begin + static_cast<int>(threadIdx.x);
    const int own = c < p.q_clusters ? (offsets[c + 1] - offsets[c] + kChunk - 1) / kChunk : 0;
    int sum = own;
    for (int distance = 1; distance < 32; distance *= 2) {
      const int before = __shfl_up_sync(0xffffffffU, sum, distance);
      if (lane >= distance) sum += before;
    }
    __syncthreads();
    if (lane == 31) of_warps[warp] = sum;
    __syncthreads();
    int first = placed + sum - own;
    int total = 0;
    for (int w = 0; w < 32; ++w) {
      if (w < warp) first += of_warps[w];
      total += of_warps[w];
    }
    if (c < p.q_clusters) {
      firsts[c] = first;
      for (int i = 0; i < own; ++i) {
        const int at = offsets[c] + i * kChunk;
        p.chunks[head * p.most + first + i] = {at, min(kChunk, offsets[c + 1] - at)};
      }
    }
    __syncthreads();
    if (threadIdx.x == 0) placed += total;
    __syncthreads();
  }
  if (threadIdx.x == 0) firsts[p.q_clusters] = placed;
}

struct Average {
  const float* sums;  // [heads of this launch, most_chunks, sum_pitch]
  const int* firsts;
  const int* q_offsets;
  std::int64_t q_offsets_stride;
  const int* k_offsets;
  std::int64_t k_offsets_stride;
  float* scores;
  std::int64_t scores_stride;
  int first_head, q_clusters, k_clusters, most_chunks, sum_pitch;
};

/// One block a cluster of queries; a thread takes four neighbouring columns.
__global__ void average_chunks(const Average p) {
  const int i = static_cast<int>(blockIdx.x);
  const int head = p.first_head + static_cast<int>(blockIdx.y);
  const int* firsts = p.firsts + static_cast<std::int64_t>(head) * (p.q_clusters + 1);
  const int* q_offsets = p.q_offsets + head * p.q_offsets_stride;
  const int* k_offsets = p.k_offsets + head * p.k_offsets_stride;
  const float* sums = p.sums + static_cast<std::int64_t>(blockIdx.y) * p.most_chunks * p.sum_pitch;
  const int members = q_offsets[i + 1] - q_offsets[i];
  const int end = firsts[i + 1];
  const float factor = members > 0 ? 1 / static_cast<float>(members) : 0;
  for (int j = 4 * static_cast<int>(threadIdx.x); j < p.k_clusters; j += 4 * blockDim.x) {
    float sum[4] = {};
#pragma unroll 4
    for (int chunk = firsts[i]; chunk < end; ++chunk) {
      const float4 of_chunk = *reinterpret_cast<const float4*>(
          sums + static_cast<std::int64_t>(chunk) * p.sum_pitch + j);
      sum[0] += of_chunk.x;
      sum[1] += of_chunk.y;
      sum[2] += of_chunk.z;
      sum[3] += of_chunk.w;
    }
    float* out = p.scores + head * p.scores_stride + static_cast<std::int64_t>(i) * p.k_clusters;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      if (j + n >= p.k_clusters) break;
      const int size = k_offsets[j + n + 1] - k_offsets[j + n];
      out[j + n] = size > 0 ? static_cast<float>(size) * factor * sum[n] : 0;
    }
  }
}

constexpr int kMostBlocks = 8;  // of a team

/// How the means are dealt out: to `blocks`, two tiles each.
struct Split {
  int blocks;
  int tile;
};
constexpr int kScoreTiles[] = {128, 112, 96, 80};
Split split_of(int k_clusters) {
  Split split{1, kScoreTiles[0]};
  while (kTilesOfBlock * split.blocks * split.tile < k_clusters) split.blocks *= 2;
  for (const int tile : kScoreTiles)
    if (kTilesOfBlock * split.blocks * tile >= k_clusters) split.tile = std::min(split.tile, tile);
  return split;
}

/// As many teams as run at once.
int teams_of(const ScoreArguments& a, int blocks) {
  const std::int64_t chunks = std::int64_t{a.heads} * a.most_chunks;
  return static_cast<int>(std::min<std::int64_t>(device_facts().multiprocessors / blocks,
                                                 ceil_div<std::int64_t>(chunks, kFewestChunks)));
}

template <int kDim, int kTile, int kBlocks>
void launch_scores(ScoreArguments a, cudaStream_t stream) {
  constexpr int kSharedBytes = sizeof(ScoreShared<kDim, kTile>);
  const auto kernel = score_kernel<kDim, kTile, kBlocks>;
  allow_shared_memory(kernel, kSharedBytes, "cluster_scores");
  const int teams = teams_of(a, kBlocks);
  check(cudaMemsetAsync(a.told, 0, teams * told_by_team(kBlocks) * sizeof(Told), stream),
        "cluster_scores");
  void* arguments[] = {&a};
  check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), dim3(teams * kBlocks),
                                    dim3(kScoreThreads), arguments, kSharedBytes, stream),
        "cluster_scores");
}

template <int kDim, int kTile>
void launch_scores(const ScoreArguments& a, int blocks, cudaStream_t stream) {
  if (blocks == 1) return launch_scores<kDim, kTile, 1>(a, stream);
  if (blocks == 2) return launch_scores<kDim, kTile, 2>(a, stream);
  if (blocks == 4) return launch_scores<kDim, kTile, 4>(a, stream);
  return launch_scores<kDim, kTile, kMostBlocks>(a, stream);
}

}  // namespace

std::string cluster_scores_hopper_refusal(const ClusterScoresParams& params, const Context&) {
  const TensorView& q = params.q;
  if (device_facts().compute_capability != 90) return "the GPU is not a Hopper";
  if (!params.q_order.defined()) return "queries are centroids";
  if (q.dtype() != DType::bf16) return "q is not bf16";
  if (q.size(2) != 64 && q.size(2) != 128) return "head_dim is neither 64 nor 128";
  if (!aligned_to(q.data(), 16) || q.stride(0) % 8 != 0 || q.stride(1) % 8 != 0)
    return "rows are not aligned to 16 bytes";
  if (!(params.scale > 0)) return "the scale is not positive";
  if (params.scores.size(2) > kMostBlocks * kTilesOfBlock * kScoreTiles[0])
    return "too many clusters of keys";
  return {};
}

void cluster_scores_hopper(const ClusterScoresParams& params, Context& context) {
  const auto heads = static_cast<int>(params.q.size(0));
  const auto tokens = static_cast<int>(params.q_order.size(1));
  const auto q_clusters = static_cast<int>(params.scores.size(1));
  const auto k_clusters = static_cast<int>(params.scores.size(2));
  const auto dim = static_cast<int>(params.q.size(2));
  if (params.scores.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const cudaStream_t stream = stream_of(context);
  const Split split = split_of(k_clusters);
  const int tile_count = kTilesOfBlock * split.blocks;
  Chunks chunks{};
  chunks.q_offsets = params.q_offsets.as<std::int32_t>();
  chunks.q_offsets_stride = params.q_offsets.stride(0);
  chunks.q_clusters = q_clusters;
  chunks.most = tokens / kChunk + q_clusters;
  chunks.chunks = context.arena.array<Chunk>(std::int64_t{heads} * chunks.most);
  chunks.firsts = context.arena.array<int>(std::int64_t{heads} * (q_clusters + 1));
  list_chunks<<<heads, 1024, 0, stream>>>(chunks);
  check_launch("cluster_scores");
  const int sum_pitch = ceil_div(k_clusters, 4) * 4;
  const std::int64_t sums_of_head = std::int64_t{chunks.most} * sum_pitch;
  const int heads_at_once = static_cast<int>(std::clamp<std::int64_t>(
      kMostSumBytes / (sums_of_head * static_cast<int>(sizeof(float))), 1, heads));
  auto* sums = context.arena.array<float>(heads_at_once * sums_of_head);
  auto* packed = context.arena.array<unsigned char>(std::int64_t{heads} * tile_count * split.tile *
                                                    (dim * 2 + 4));
  with_tile<128, 112, 96, 80>(dim, split.tile, [&](auto dim_constant, auto tile_constant) {
    constexpr int kDim = decltype(dim_constant)::value;
    constexpr int kTile = decltype(tile_constant)::value;
    Means means{};
    means.centroids = params.k_mean.as<float>();
    means.head_stride = params.k_mean.stride(0);
    means.offsets = params.k_offsets.as<std::int32_t>();
    means.offsets_stride = params.k_offsets.stride(0);
    means.clusters = k_clusters;
    launch_pack_centroids<kDim, kTile>(means, heads, tile_count, packed, "cluster_scores", context);
    ScoreArguments a{};
    a.q = device_pointer<const __nv_bfloat16>(params.q);
    a.head_stride = params.q.stride(0);
    a.row_stride = params.q.stride(1);
    a.order = params.q_order.as<std::int32_t>();
    a.order_stride = params.q_order.stride(0);
    a.chunks = chunks.chunks;
    a.firsts = chunks.firsts;
    a.q_clusters = q_clusters;
    a.most_chunks = chunks.most;
    a.columns = sum_pitch;  // also those that fill the last four: averaging reads four at a time
    a.packed = packed;
    a.scale = static_cast<float>(params.scale) * kLog2E;
    a.sums = sums;
    a.sum_pitch = sum_pitch;
    a.told = context.arena.array<Told>(device_facts().multiprocessors / split.blocks *
                                       told_by_team(split.blocks));
    Average average{};
    average.sums = sums;
    average.firsts = chunks.firsts;
    average.q_offsets = chunks.q_offsets;
    average.q_offsets_stride = chunks.q_offsets_stride;
    average.k_offsets = means.offsets;
    average.k_offsets_stride = means.offsets_stride;
    average.scores = params.scores.as<float>();
    average.scores_stride = params.scores.stride(0);
    average.q_clusters = q_clusters;
    average.k_clusters = k_clusters;
    average.sum_pitch = sum_pitch;
    average.most_chunks = chunks.most;
    for (int first = 0; first < heads; first += heads_at_once) {
      const int now = std::min(heads_at_once, heads - first);
      a.first_head = average.first_head = first;
      a.heads = now;
      launch_scores<kDim, kTile>(a, split.blocks, stream);
      average_chunks<<<dim3(q_clusters, now), 256, 0, stream>>>(average);
      check_launch("cluster_scores");
    }
  });
}

}  // namespace sparsevid::ops::cuda
