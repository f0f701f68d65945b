// The problem: 1.5 GB of keys and values move once (Wan 14B: 40 heads x 75,600 x 128), in and out,
//   0.75 ms of memory time; everything else here is tables of a few megabytes.
// Plan: place_clusters, a block for a head: atoms of the clusters by a scan. gather_atoms, a warp
//   for an atom, which finds its cluster by bisection; 16 bytes a lane. size_work, a warp for a
//   pair of head and query cluster. list_work, one block: a scan over the pairs, in order of the
//   heads, so that what runs at one time reads the keys of one head, which the L2 cache holds.
// Bound: memory.
#include <algorithm>

#include "ops/cuda/attention_hopper/sparse_plan.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kScanThreads = 1024;

/// The sum of `value` over the threads before this one, and over all in `total`.
__device__ int exclusive_sum(int value, int& total) {
  __shared__ int warp_sums[kScanThreads / 32];
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  int sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(~0u, sum, distance);
    if (lane >= distance) sum += before;
  }
  __syncthreads();
  if (lane == 31) warp_sums[warp] = sum;
  __syncthreads();
  int before = 0;
  total = 0;
  for (int w = 0; w < kScanThreads / 32; ++w) {
    if (w < warp) before += warp_sums[w];
    total += warp_sums[w];
  }
  return before + sum - value;
}

__global__ void __launch_bounds__(kScanThreads)
    place_clusters(const int* k_offsets, std::int64_t head_stride, int clusters, double scale,
                   SparsePlan plan) {
  const int* offsets = k_offsets + blockIdx.x * head_stride;
  int begin = 0;
  for (int first = 0; first < clusters; first += kScanThreads) {
    const int cluster = first + static_cast<int>(threadIdx.x);
    const int rows = cluster < clusters ? offsets[cluster + 1] - offsets[cluster] : 0;
    int total;
    const int atom = begin + exclusive_sum((rows + kAtomRows - 1) / kAtomRows, total);
    if (cluster < clusters) {
      const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * clusters + cluster;
      plan.places[at] = {atom, rows};
      plan.centroid_bias[at] = static_cast<float>(::log(static_cast<double>(max(rows, 1))) / scale);
    }
    begin += total;
  }
}

struct GatherArguments {
  const __nv_bfloat16* k;
  const __nv_bfloat16* v;
  std::int64_t k_head_stride, k_row_stride, v_head_stride, v_row_stride;
  const int* k_order;
  std::int64_t k_order_stride;
  const float* k_mean;  // null without a tail
  const float* v_mean;
  std::int64_t k_mean_head_stride, k_mean_row_stride, v_mean_head_stride, v_mean_row_stride;
};

__device__ uint4 load_bf16(const float* from) {
  __nv_bfloat162 pairs[4];
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(from[2 * i], from[2 * i + 1]);
  return *reinterpret_cast<const uint4*>(pairs);
}

template <int kHeadDim>
__global__ void __launch_bounds__(256)
    gather_atoms(GatherArguments a, const int* k_offsets, std::int64_t k_offsets_stride,
                 SparsePlan plan) {
  constexpr int kChunks = kHeadDim / 8;  // of 16 bytes in a row
  constexpr int kAtomBytes = kAtomRows * kHeadDim * 2;
  const int atom = static_cast<int>(blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32);
  const int head = blockIdx.y;
  const int lane = threadIdx.x % 32;
  unsigned char* const k_atom =
      plan.k + (static_cast<std::int64_t>(head) * plan.head_atoms + atom) * kAtomBytes;
  unsigned char* const v_atom = plan.v + (k_atom - plan.k);
  const auto place_of = [](int row, int chunk) {
    return chunk / 8 * 1024 + row * 128 + (chunk % 8 ^ row) * 16;
  };
  // The blocks after the last atom of the last head clear the atoms of zeros.
  if (atom >= plan.head_atoms) {
    if (head == plan.heads - 1 && atom < plan.head_atoms + kZeroAtoms)
      for (int i = lane; i < kAtomBytes / 16; i += 32) {
        reinterpret_cast<uint4*>(k_atom)[i] = uint4{};
        reinterpret_cast<uint4*>(v_atom)[i] = uint4{};
      }
    return;
  }
  if (atom >= plan.centroid_atom) {
    if (a.k_mean == nullptr) return;
    for (int i = lane; i < kAtomRows * kChunks; i += 32) {
      const int row = i / kChunks;
      const int chunk = i % kChunks;
      const int cluster = (atom - plan.centroid_atom) * kAtomRows + row;
      if (cluster >= plan.k_clusters) break;
      *reinterpret_cast<uint4*>(k_atom + place_of(row, chunk)) = load_bf16(
          a.k_mean + head * a.k_mean_head_stride + cluster * a.k_mean_row_stride + 8 * chunk);
      *reinterpret_cast<uint4*>(v_atom + place_of(row, chunk)) = load_bf16(
          a.v_mean + head * a.v_mean_head_stride + cluster * a.v_mean_row_stride + 8 * chunk);
    }
    return;
  }
  // The last cluster that begins at this atom or before it; the empty ones before a cluster begin
  // where it does.
  const ClusterPlace* places = plan.places + static_cast<std::int64_t>(head) * plan.k_clusters;
  int low = 0;
  int high = plan.k_clusters;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (places[middle].atom <= atom)
      low = middle;
    else
      high = middle;
  }
  const ClusterPlace place = places[low];
  const int first_row = (atom - place.atom) * kAtomRows;
  const int rows = min(kAtomRows, place.rows - first_row);
  const int* tokens =
      a.k_order + head * a.k_order_stride + k_offsets[head * k_offsets_stride + low] + first_row;
  for (int i = lane; i < rows * kChunks; i += 32) {
    const int row = i / kChunks;
    const int chunk = i % kChunks;
    const std::int64_t token = tokens[row];
    *reinterpret_cast<uint4*>(k_atom + place_of(row, chunk)) = *reinterpret_cast<const uint4*>(
        a.k + head * a.k_head_stride + token * a.k_row_stride + 8 * chunk);
    *reinterpret_cast<uint4*>(v_atom + place_of(row, chunk)) = *reinterpret_cast<const uint4*>(
        a.v + head * a.v_head_stride + token * a.v_row_stride + 8 * chunk);
  }
}

/// Pairs of head and query cluster as one index.
__global__ void __launch_bounds__(256)
    size_work(const std::uint8_t* chosen, std::int64_t head_stride, std::int64_t row_stride,
              int q_clusters, bool tail, SparsePlan plan) {
  const int pair = static_cast<int>(blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32);
  if (pair >= plan.heads * q_clusters) return;
  const int head = pair / q_clusters;
  const std::uint8_t* flags = chosen + head * head_stride + pair % q_clusters * row_stride;
  const ClusterPlace* places = plan.places + static_cast<std::int64_t>(head) * plan.k_clusters;
  int atoms = 0;
  int rows = 0;
  for (int cluster = threadIdx.x % 32; cluster < plan.k_clusters; cluster += 32) {
    const int size = places[cluster].rows;
    if (flags[cluster] != 0) {
      atoms += size / kAtomRows;
      rows += size % kAtomRows;
    } else if (tail && size > 0) {
      ++rows;
    }
  }
  atoms = __reduce_add_sync(~0u, atoms);
  rows = __reduce_add_sync(~0u, rows);
  if (threadIdx.x % 32 == 0) plan.sizes[pair] = {atoms, rows};
}

__global__ void __launch_bounds__(kScanThreads)
    list_work(const int* q_offsets, std::int64_t head_stride, int q_clusters, int tile_rows,
              SparsePlan plan) {
  int begin = 0;
  for (int first = 0; first < plan.heads * q_clusters; first += kScanThreads) {
    const int pair = first + static_cast<int>(threadIdx.x);
    const bool inside = pair < plan.heads * q_clusters;
    const int head = inside ? pair / q_clusters : 0;
    const int cluster = inside ? pair % q_clusters : 0;
    const int* offset = q_offsets + head * head_stride + cluster;
    const int place = offset[0];
    const int rows = inside ? offset[1] - place : 0;
    int total;
    int at = begin + exclusive_sum((rows + tile_rows - 1) / tile_rows, total);
    for (int row = 0; row < rows; row += tile_rows) {
      const int2 size = plan.sizes[pair];
      plan.work[at++] = {head,   cluster, place + row, min(tile_rows, rows - row),
                         size.x, size.y,  {}};
    }
    begin += total;
  }
  if (threadIdx.x == 0) {
    *plan.work_count = begin;
    *plan.next_work = 0;
  }
}

int head_token_atoms(const BlockSparseAttentionParams& params) {
  return static_cast<int>(params.k.size(1) / kAtomRows + params.chosen.size(2) + 1);
}
int head_atoms(const BlockSparseAttentionParams& params) {
  return head_token_atoms(params) +
         static_cast<int>(ceil_div<std::int64_t>(params.chosen.size(2), kAtomRows));
}
std::int64_t atom_bytes(const BlockSparseAttentionParams& params) {
  return kAtomRows * params.q.size(2) * 2;
}

}  // namespace

std::size_t sparse_plan_bytes(const BlockSparseAttentionParams& params) {
  return static_cast<std::size_t>(2 * head_atoms(params) * atom_bytes(params));
}

SparsePlan plan_sparse(const BlockSparseAttentionParams& params, int first, int heads,
                       int tile_rows, Arena& arena, cudaStream_t stream) {
  const auto q_clusters = static_cast<int>(params.chosen.size(1));
  const auto k_clusters = static_cast<int>(params.chosen.size(2));
  const bool tail = params.k_mean.defined();
  SparsePlan plan{};
  plan.heads = heads;
  plan.k_clusters = k_clusters;
  plan.head_atoms = head_atoms(params);
  plan.centroid_atom = head_token_atoms(params);
  const std::int64_t atoms = static_cast<std::int64_t>(heads) * plan.head_atoms + kZeroAtoms;
  plan.k = arena.array<unsigned char>(atoms * atom_bytes(params));
  plan.v = arena.array<unsigned char>(atoms * atom_bytes(params));
  plan.places = arena.array<ClusterPlace>(std::int64_t{heads} * k_clusters);
  plan.centroid_bias = arena.array<float>(std::int64_t{heads} * k_clusters);
  plan.sizes = arena.array<int2>(std::int64_t{heads} * q_clusters);
  plan.work =
      arena.array<SparseWork>(heads * (params.q.size(1) / tile_rows + std::int64_t{q_clusters}));
  plan.work_count = arena.array<int>(2);
  plan.next_work = plan.work_count + 1;

  const auto ints = [&](const TensorView& view) {
    return view.as<std::int32_t>() + first * view.stride(0);
  };
  place_clusters<<<heads, kScanThreads, 0, stream>>>(
      ints(params.k_offsets), params.k_offsets.stride(0), k_clusters, params.scale, plan);
  check_launch("block_sparse_attention");

  GatherArguments a{};
  const auto bf16_rows = [&](const TensorView& view) {
    return static_cast<const __nv_bfloat16*>(view.data()) + first * view.stride(0);
  };
  a.k = bf16_rows(params.k);
  a.v = bf16_rows(params.v);
  a.k_head_stride = params.k.stride(0);
  a.k_row_stride = params.k.stride(1);
  a.v_head_stride = params.v.stride(0);
  a.v_row_stride = params.v.stride(1);
  a.k_order = ints(params.k_order);
  a.k_order_stride = params.k_order.stride(0);
  if (tail) {
    a.k_mean = params.k_mean.as<float>() + first * params.k_mean.stride(0);
    a.v_mean = params.v_mean.as<float>() + first * params.v_mean.stride(0);
    a.k_mean_head_stride = params.k_mean.stride(0);
    a.k_mean_row_stride = params.k_mean.stride(1);
    a.v_mean_head_stride = params.v_mean.stride(0);
    a.v_mean_row_stride = params.v_mean.stride(1);
  }
  constexpr int kWarps = 8;
  const dim3 grid(ceil_div(plan.head_atoms + kZeroAtoms, kWarps), heads);
  const auto gather = params.q.size(2) == 128 ? gather_atoms<128> : gather_atoms<64>;
  gather<<<grid, 32 * kWarps, 0, stream>>>(a, ints(params.k_offsets), params.k_offsets.stride(0),
                                           plan);
  check_launch("block_sparse_attention");

  size_work<<<ceil_div(heads * q_clusters, kWarps), 32 * kWarps, 0, stream>>>(
      params.chosen.as<std::uint8_t>() + first * params.chosen.stride(0), params.chosen.stride(0),
      params.chosen.stride(1), q_clusters, tail, plan);
  check_launch("block_sparse_attention");
  list_work<<<1, kScanThreads, 0, stream>>>(ints(params.q_offsets), params.q_offsets.stride(0),
                                            q_clusters, tile_rows, plan);
  check_launch("block_sparse_attention");
  return plan;
}

}  // namespace sparsevid::ops::cuda
