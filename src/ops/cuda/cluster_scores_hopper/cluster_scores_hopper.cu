// The mass that every query gives each cluster of keys, averaged over the clusters of queries.
//
// The problem: 40 heads x 75,600 queries x 1,000 means x 128: 0.77 TFLOP a product, 3.0 billion
//   exponentials, 0.77 GB of queries, 48 MB of scores.
// Plan: row_products.h with the queries of a cluster in chunks of 64, gathered by q_order, and two
//   passes over the means while the queries stay in registers: the first finds each query's largest
//   logit and the sum of its masses, the second the masses themselves, which are added up over the
//   chunk: two rows in a thread, eight lanes by halving exchanges, four warps through shared
//   memory, always in the same order. The sums of chunks go to memory (4 KB a chunk, a few heads at
//   a time) and are averaged by a small kernel. Sizes of clusters are factors, not part of the
//   logits: means of empty clusters are replaced by those of others and count 0 times.
// Bound: twice the product on the tensor cores, 2.6 ms at 600 TFLOP/s; exponentials, 16 a clock,
// need
//   0.8 ms for each pass. Chunks of clusters that are no multiple of 64 waste rows, 12 % at 252.
// Not tried: one pass that keeps the exponentials as bf16 in registers, a quarter of the means in
// each
//   of four blocks of a cluster.
#include "ops/cuda/cluster_scores_hopper/cluster_scores_hopper.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/kmeans_hopper/pack_centroids.h"
#include "ops/cuda/kmeans_hopper/row_products.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr float kLog2E = 1.4426950408889634F;
constexpr int kChunk = 64;
constexpr int kChunksOfBlock = kRowsOfBlock / kChunk;
constexpr std::int64_t kMostSumBytes = 64 << 20;  // of chunks: as many heads at a time as fit

struct Means {
  static constexpr bool kNegative = false;
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

/// The queries of a chunk: they lie in [begin, begin + count) of the order.
struct Chunk {
  int begin;
  int count;
};

struct Chunks {
  const int* q_offsets;
  std::int64_t q_offsets_stride;
  Chunk* chunks;  // [heads, most]
  int* firsts;    // [heads, q_clusters + 1]: the first chunk of each cluster
  int q_clusters, most;
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

template <int kDimension, int kTileSize>
struct Scoring {
  static constexpr int kDim = kDimension;
  static constexpr int kTile = kTileSize;
  static constexpr int kPasses = 2;
  static constexpr int kExtraBytes = kChunksOfBlock * 4 * kTile * 4;  // the sums of each warp

  const __nv_bfloat16* q;
  std::int64_t head_stride, row_stride;
  const int* order;
  std::int64_t order_stride;
  const Chunk* chunks;
  const int* firsts;
  int first_head, q_clusters, most_chunks, k_clusters, blocks_of_head, items, tile_count;
  const unsigned char* packed;
  float scale;  // of logits in base 2
  float* sums;  // [heads of this launch, most_chunks, k_clusters]

  struct Half {
    float largest[2];
    float mass[2];  // after the first pass: what makes a logit the logarithm of a share
    int chunk;      // of all heads of this launch, or -1
  };

  __device__ int head(int item) const { return first_head + item / blocks_of_head; }
  __device__ int chunk_count(int head) const {
    return firsts[static_cast<std::int64_t>(head) * (q_clusters + 1) + q_clusters];
  }
  __device__ bool skip(int item) const {
    return item % blocks_of_head * kChunksOfBlock >= chunk_count(head(item));
  }
  __device__ const void* tiles(int item) const {
    return packed +
           static_cast<std::int64_t>(head(item)) * tile_count * CentroidTile<kDim, kTile>::kBytes;
  }
  __device__ int chunk(int item, const RowHalf& half) const {
    return item % blocks_of_head * kChunksOfBlock + half.which;
  }
  __device__ void find_rows(int item, const RowHalf& half, const void* (&rows)[2]) const {
    const int h = head(item);
    const int last = chunk_count(h) - 1;
    const Chunk own =
        chunks[static_cast<std::int64_t>(h) * most_chunks + min(chunk(item, half), last)];
    const int* tokens = order + h * order_stride + own.begin;
    const __nv_bfloat16* of_head = q + h * head_stride;
    rows[0] = of_head + tokens[min(half.upper, own.count - 1)] * row_stride;
    rows[1] = of_head + tokens[min(half.upper + 8, own.count - 1)] * row_stride;
  }
  __device__ void begin(int item, const RowHalf& half, Half& state) const {
    const int h = head(item);
    const int own = chunk(item, half);
    const bool exists = own < chunk_count(h);
    state.chunk = exists ? item / blocks_of_head * most_chunks + own : -1;
    state.largest[0] = state.largest[1] = -__builtin_huge_valf();
    state.mass[0] = state.mass[1] = 0;
  }

  template <int kPass>
  __device__ void consume(int tile, float (&logits)[kTile / 2], const float* sizes,
                          const RowHalf& half, Half& state, unsigned char* extra) const {
    if constexpr (kPass == 0) {
      add_masses(logits, sizes, half, state);
    } else {
      add_rows(tile, logits, half, state, extra);
    }
  }

  __device__ void add_masses(const float (&logits)[kTile / 2], const float* sizes,
                             const RowHalf& half, Half& state) const {
    const auto* pairs = reinterpret_cast<const float2*>(sizes) + half.quarter;
    float largest[2] = {state.largest[0], state.largest[1]};
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r)
        largest[r] = fmaxf(largest[r], fmaxf(logits[4 * j + 2 * r], logits[4 * j + 2 * r + 1]));
    float minus[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      state.mass[r] *= exp2f((state.largest[r] - largest[r]) * scale);
      state.largest[r] = largest[r];
      minus[r] = -largest[r] * scale;
    }
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
      const float2 size = pairs[4 * j];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        state.mass[r] += size.x * power_of_two(fmaf(logits[4 * j + 2 * r], scale, minus[r]));
        state.mass[r] += size.y * power_of_two(fmaf(logits[4 * j + 2 * r + 1], scale, minus[r]));
      }
    }
  }

  __device__ static float power_of_two(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
  }

  __device__ void between_passes(const RowHalf& half, Half& state) const {
    const int count =
        state.chunk < 0 ? 0 : chunks[std::int64_t{first_head} * most_chunks + state.chunk].count;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = state.largest[r];
      float mass = state.mass[r];
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2) {
        const float other = __shfl_xor_sync(0xffffffffU, largest, distance);
        const float other_mass = __shfl_xor_sync(0xffffffffU, mass, distance);
        const float both = fmaxf(largest, other);
        mass = mass * exp2f((largest - both) * scale) + other_mass * exp2f((other - both) * scale);
        largest = both;
      }
      const bool exists = half.upper + 8 * r < count;
      state.mass[r] = exists ? -(largest * scale + log2f(mass)) : -__builtin_huge_valf();
    }
  }

  /// The masses of the chunk's rows, added up.
  __device__ void add_rows(int tile, const float (&logits)[kTile / 2], const RowHalf& half,
                           const Half& state, unsigned char* extra) const {
    constexpr int kColumns = kTile / 4;  // of a thread
    constexpr int kPadded = (kColumns + 7) / 8 * 8;
    float columns[kPadded];
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        columns[2 * j + e] = power_of_two(fmaf(logits[4 * j + e], scale, state.mass[0])) +
                             power_of_two(fmaf(logits[4 * j + 2 + e], scale, state.mass[1]));
#pragma unroll
    for (int i = kColumns; i < kPadded; ++i) columns[i] = 0;
    // The eight lanes that share columns halve them among each other.
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int step = 0; step < 3; ++step) {
      const int left = kPadded >> (step + 1);
      const int distance = 16 >> step;
      const bool upper = (lane & distance) != 0;
#pragma unroll
      for (int i = 0; i < kPadded / 2; ++i) {
        if (i >= left) break;
        const float sent = upper ? columns[i] : columns[left + i];
        const float kept = upper ? columns[left + i] : columns[i];
        columns[i] = kept + __shfl_xor_sync(0xffffffffU, sent, distance);
      }
    }
    const int first = ((lane & 16) != 0 ? kPadded / 2 : 0) + ((lane & 8) != 0 ? kPadded / 4 : 0) +
                      ((lane & 4) != 0 ? kPadded / 8 : 0);
    float* of_chunk = reinterpret_cast<float*>(extra) + half.which * 4 * kTile;
#pragma unroll
    for (int i = 0; i < kPadded / 8; ++i) {
      const int index = first + i;
      if (index < kColumns)
        of_chunk[half.warp * kTile + index / 2 * 8 + 2 * half.quarter + index % 2] = columns[i];
    }
    const int barrier = 1 + half.which / 2;
    named_barrier_wait(barrier, kWarpgroupThreads);
    const int column = static_cast<int>(threadIdx.x) % kWarpgroupThreads;
    if (column < kTile && state.chunk >= 0 && tile * kTile + column < k_clusters)
      sums[static_cast<std::int64_t>(state.chunk) * k_clusters + tile * kTile + column] =
          of_chunk[column] + of_chunk[kTile + column] + of_chunk[2 * kTile + column] +
          of_chunk[3 * kTile + column];
    named_barrier_wait(barrier, kWarpgroupThreads);
  }

  __device__ void end(int, const RowHalf&, const Half&) const {}
};

struct Average {
  const float* sums;  // [heads of this launch, most_chunks, k_clusters]
  const int* firsts;
  const int* q_offsets;
  std::int64_t q_offsets_stride;
  const int* k_offsets;
  std::int64_t k_offsets_stride;
  float* scores;
  std::int64_t scores_stride;
  int first_head, q_clusters, k_clusters, most_chunks;
};

__global__ void average_chunks(const Average p) {
  const int i = static_cast<int>(blockIdx.x);
  const int head = p.first_head + static_cast<int>(blockIdx.y);
  const int* firsts = p.firsts + static_cast<std::int64_t>(head) * (p.q_clusters + 1);
  const int* q_offsets = p.q_offsets + head * p.q_offsets_stride;
  const int* k_offsets = p.k_offsets + head * p.k_offsets_stride;
  const float* sums = p.sums + static_cast<std::int64_t>(blockIdx.y) * p.most_chunks * p.k_clusters;
  const int members = q_offsets[i + 1] - q_offsets[i];
  const float factor = members > 0 ? 1 / static_cast<float>(members) : 0;
  for (int j = static_cast<int>(threadIdx.x); j < p.k_clusters; j += blockDim.x) {
    float sum = 0;
    for (int chunk = firsts[i]; chunk < firsts[i + 1]; ++chunk)
      sum += sums[static_cast<std::int64_t>(chunk) * p.k_clusters + j];
    const int size = k_offsets[j + 1] - k_offsets[j];
    p.scores[head * p.scores_stride + static_cast<std::int64_t>(i) * p.k_clusters + j] =
        size > 0 ? static_cast<float>(size) * factor * sum : 0;
  }
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
  const int tile_size = best_tile(k_clusters);
  const int tile_count = ceil_div(k_clusters, tile_size);
  Chunks chunks{};
  chunks.q_offsets = params.q_offsets.as<std::int32_t>();
  chunks.q_offsets_stride = params.q_offsets.stride(0);
  chunks.q_clusters = q_clusters;
  chunks.most = tokens / kChunk + q_clusters;
  chunks.chunks = context.arena.array<Chunk>(std::int64_t{heads} * chunks.most);
  chunks.firsts = context.arena.array<int>(std::int64_t{heads} * (q_clusters + 1));
  list_chunks<<<heads, 1024, 0, stream>>>(chunks);
  check_launch("cluster_scores");
  const std::int64_t sums_of_head = std::int64_t{chunks.most} * k_clusters;
  const int heads_at_once = static_cast<int>(std::clamp<std::int64_t>(
      kMostSumBytes / (sums_of_head * static_cast<int>(sizeof(float))), 1, heads));
  auto* sums = context.arena.array<float>(heads_at_once * sums_of_head);
  auto* packed = context.arena.array<unsigned char>(std::int64_t{heads} * tile_count * tile_size *
                                                    (dim * 2 + 4));
  with_tile(dim, tile_size, [&](auto dim_constant, auto tile_constant) {
    constexpr int kDim = decltype(dim_constant)::value;
    constexpr int kTile = decltype(tile_constant)::value;
    Means means{};
    means.centroids = params.k_mean.as<float>();
    means.head_stride = params.k_mean.stride(0);
    means.offsets = params.k_offsets.as<std::int32_t>();
    means.offsets_stride = params.k_offsets.stride(0);
    means.clusters = k_clusters;
    launch_pack_centroids<kDim, kTile>(means, heads, tile_count, packed, "cluster_scores", context);
    Scoring<kDim, kTile> job{};
    job.q = device_pointer<const __nv_bfloat16>(params.q);
    job.head_stride = params.q.stride(0);
    job.row_stride = params.q.stride(1);
    job.order = params.q_order.as<std::int32_t>();
    job.order_stride = params.q_order.stride(0);
    job.chunks = chunks.chunks;
    job.firsts = chunks.firsts;
    job.q_clusters = q_clusters;
    job.most_chunks = chunks.most;
    job.k_clusters = k_clusters;
    job.blocks_of_head = ceil_div(chunks.most, kChunksOfBlock);
    job.tile_count = tile_count;
    job.packed = packed;
    job.scale = static_cast<float>(params.scale) * kLog2E;
    job.sums = sums;
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
    average.most_chunks = chunks.most;
    for (int first = 0; first < heads; first += heads_at_once) {
      const int now = std::min(heads_at_once, heads - first);
      job.first_head = average.first_head = first;
      job.items = now * job.blocks_of_head;
      launch_row_products(job, "cluster_scores", context);
      average_chunks<<<dim3(q_clusters, now), 256, 0, stream>>>(average);
      check_launch("cluster_scores");
    }
  });
}

}  // namespace sparsevid::ops::cuda
