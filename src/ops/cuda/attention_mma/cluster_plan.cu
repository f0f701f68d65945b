// Tiles of queries, the most expensive of each head first: a head's keys and values stay in the L2
// cache while its tiles run, and the last tiles to start are short ones. The cost of a tile is the
// number of keys it sees; a counting sort by 256 steps of it is close enough.
#include "ops/cuda/attention_mma/cluster_plan.h"

#include <algorithm>

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kBuckets = 256;

struct PlanProblem {
  const std::int32_t* q_offsets;
  const std::int32_t* k_offsets;
  const std::uint8_t* chosen;
  std::int64_t q_offsets_stride, k_offsets_stride, chosen_strides[2];
  int q_clusters, k_clusters, tail_cost;
  int query_tile, warp_rows;
  int tiles_per_head;
  int* costs;  ///< [heads, q_clusters]
  ClusterTile* tiles;
};

__device__ int rows_of(const PlanProblem& p, const std::int32_t* offsets, int cluster) {
  return offsets[cluster + 1] - offsets[cluster];
}

__global__ void __launch_bounds__(kThreads) plan_tiles(const __grid_constant__ PlanProblem p) {
  __shared__ int most;
  __shared__ int used[kBuckets];
  const int head = blockIdx.x;
  const std::int32_t* q_offsets = p.q_offsets + head * p.q_offsets_stride;
  const std::int32_t* k_offsets = p.k_offsets + head * p.k_offsets_stride;
  int* costs = p.costs + static_cast<std::int64_t>(head) * p.q_clusters;
  ClusterTile* tiles = p.tiles + static_cast<std::int64_t>(head) * p.tiles_per_head;
  if (threadIdx.x == 0) most = 1;
  for (int b = threadIdx.x; b < kBuckets; b += kThreads) used[b] = 0;
  __syncthreads();

  for (int c = threadIdx.x / 32; c < p.q_clusters; c += kThreads / 32) {
    const std::uint8_t* chosen = p.chosen + head * p.chosen_strides[0] + c * p.chosen_strides[1];
    int keys = 0;
    for (int k = threadIdx.x % 32; k < p.k_clusters; k += 32)
      if (chosen[k] != 0) keys += rows_of(p, k_offsets, k);
    keys = __reduce_add_sync(0xffffffffU, keys) + p.tail_cost;
    if (threadIdx.x % 32 == 0) {
      costs[c] = keys;
      atomicMax(&most, keys);
    }
  }
  __syncthreads();

  const auto bucket = [&](int c) {
    return static_cast<int>(kBuckets - 1 -
                            static_cast<std::int64_t>(costs[c]) * (kBuckets - 1) / most);
  };
  const auto pieces = [&](int c) {
    return (rows_of(p, q_offsets, c) + p.query_tile - 1) / p.query_tile;
  };
  for (int c = threadIdx.x; c < p.q_clusters; c += kThreads) atomicAdd(&used[bucket(c)], pieces(c));
  __syncthreads();
  if (threadIdx.x == 0) {
    int sum = 0;
    for (int& bucket_begin : used) {
      const int count = bucket_begin;
      bucket_begin = sum;
      sum += count;
    }
  }
  __syncthreads();
  for (int c = threadIdx.x; c < p.q_clusters; c += kThreads) {
    const int count = pieces(c);
    if (count == 0) continue;
    const int first = atomicAdd(&used[bucket(c)], count);
    // Even pieces of whole warps: 130 rows are 96 and 34, not 128 and 2, five warps' work in all.
    const int rows = rows_of(p, q_offsets, c);
    const int warps = (rows + p.warp_rows - 1) / p.warp_rows;
    const int piece_rows = (warps + count - 1) / count * p.warp_rows;
    for (int i = 0; i < count; ++i) {
      const int begin = min(i * piece_rows, rows);
      tiles[first + i] = {c, q_offsets[c] + begin, min(piece_rows, rows - begin)};
    }
  }
  __syncthreads();
  const int total = used[kBuckets - 1];  // after its own tiles were placed: where the list ends
  for (int i = total + threadIdx.x; i < p.tiles_per_head; i += kThreads) tiles[i] = {0, 0, 0};
}

struct MeansProblem {
  const float* from[2];
  std::int64_t strides[2][2];
  device_bf16* to[2];
  const std::int32_t* offsets;
  std::int64_t offsets_stride;
  int clusters, head_dim;
};

/// One block for a few clusters of one head, blockIdx.z for keys or values.
__global__ void round_means(const __grid_constant__ MeansProblem p) {
  const int cluster = blockIdx.x * blockDim.y + threadIdx.y;
  if (cluster >= p.clusters) return;
  const std::int64_t head = blockIdx.y;
  const int kind = blockIdx.z;
  const std::int32_t* offsets = p.offsets + head * p.offsets_stride;
  const bool empty = offsets[cluster] == offsets[cluster + 1];
  const float* from = p.from[kind] + head * p.strides[kind][0] + cluster * p.strides[kind][1];
  device_bf16* to = p.to[kind] + (head * p.clusters + cluster) * p.head_dim;
  for (int d = threadIdx.x; d < p.head_dim; d += blockDim.x)
    to[d] = __float2bfloat16_rn(empty ? 0.F : from[d]);
}

}  // namespace

ClusterPlan plan_clusters(const BlockSparseAttentionParams& params, int query_tile, int warp_rows,
                          Context& context) {
  const std::int64_t heads = params.q.size(0);
  const std::int64_t q_clusters = params.chosen.size(1);
  const std::int64_t k_clusters = params.chosen.size(2);
  const std::int64_t head_dim = params.q.size(2);
  const bool has_tail = params.k_mean.defined();
  const cudaStream_t stream = stream_of(context);

  ClusterPlan plan{};
  plan.tiles_per_head =
      static_cast<int>(q_clusters + ceil_div<std::int64_t>(params.q.size(1), query_tile));
  plan.tiles = context.arena.array<ClusterTile>(heads * plan.tiles_per_head);
  PlanProblem problem{device_pointer<const std::int32_t>(params.q_offsets),
                      device_pointer<const std::int32_t>(params.k_offsets),
                      device_pointer<const std::uint8_t>(params.chosen),
                      params.q_offsets.stride(0),
                      params.k_offsets.stride(0),
                      {params.chosen.stride(0), params.chosen.stride(1)},
                      static_cast<int>(q_clusters),
                      static_cast<int>(k_clusters),
                      has_tail ? static_cast<int>(k_clusters) : 0,
                      query_tile,
                      warp_rows,
                      plan.tiles_per_head,
                      context.arena.array<int>(heads * q_clusters),
                      plan.tiles};
  plan_tiles<<<static_cast<unsigned>(heads), kThreads, 0, stream>>>(problem);
  check_launch("block_sparse_attention: plan");

  if (has_tail && k_clusters > 0) {
    plan.k_mean = context.arena.array<device_bf16>(heads * k_clusters * head_dim);
    plan.v_mean = context.arena.array<device_bf16>(heads * k_clusters * head_dim);
    const MeansProblem means{
        {device_pointer<const float>(params.k_mean), device_pointer<const float>(params.v_mean)},
        {{params.k_mean.stride(0), params.k_mean.stride(1)},
         {params.v_mean.stride(0), params.v_mean.stride(1)}},
        {plan.k_mean, plan.v_mean},
        problem.k_offsets,
        problem.k_offsets_stride,
        static_cast<int>(k_clusters),
        static_cast<int>(head_dim)};
    const dim3 threads(32, 8);
    const dim3 grid(static_cast<unsigned>(ceil_div<std::int64_t>(k_clusters, threads.y)),
                    static_cast<unsigned>(heads), 2);
    round_means<<<grid, threads, 0, stream>>>(means);
    check_launch("block_sparse_attention: means");
  }
  return plan;
}

}  // namespace sparsevid::ops::cuda
