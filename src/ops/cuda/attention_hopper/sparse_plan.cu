// The problem: 1.5 GB of keys and values move once (Wan 14B: 40 heads x 75,600 x 128), in and out,
//   0.75 ms of memory time; everything else here is tables and lists.
// Plan: place_clusters, a block for a head: atoms of the clusters by a scan. gather_atoms, a warp
//   for an atom, which finds its cluster by bisection; 16 bytes a lane. list_keys, a warp for a
//   pair of head and query cluster. list_work, a block for a head: a scan over its pairs, so that
//   what runs at one time reads the keys of one head, which the L2 cache holds.
// Bound: memory; gather_atoms moves 3.4 TB/s, 81 % of a copy.
// Tried: lists made by the loading warps while the attention runs, which one warp is too slow for;
//   work listed by a single block: 90 us.
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

/// The sum of `value` over the lanes before this one, and over all in `total`.
__device__ int sum_of_lanes_before(int value, int& total) {
  const int lane = threadIdx.x % 32;
  int sum = value;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const int before = __shfl_up_sync(~0u, sum, distance);
    if (lane >= distance) sum += before;
  }
  total = __shfl_sync(~0u, sum, 31);
  return sum - value;
}

__global__ void __launch_bounds__(256)
    list_keys(const std::uint8_t* chosen, std::int64_t head_stride, std::int64_t row_stride,
              bool tail, SparsePlan plan) {
  const int pair = static_cast<int>(blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32);
  if (pair >= plan.heads * plan.q_clusters) return;
  const int lane = threadIdx.x % 32;
  const int head = pair / plan.q_clusters;
  const std::uint8_t* flags = chosen + head * head_stride + pair % plan.q_clusters * row_stride;
  const ClusterPlace* places = plan.places + static_cast<std::int64_t>(head) * plan.k_clusters;
  AtomRun* const runs = plan.runs + static_cast<std::int64_t>(pair) * plan.k_clusters;
  int* const rows = plan.rows + static_cast<std::int64_t>(pair) * plan.pair_rows;
  KeyLists sizes{};
  for (int first = 0; first < plan.k_clusters; first += 32) {
    const int cluster = first + lane;
    const bool inside = cluster < plan.k_clusters;
    const ClusterPlace place = inside ? places[cluster] : ClusterPlace{0, 0};
    const bool is_chosen = inside && flags[cluster] != 0;
    const AtomRun run = {place.atom, is_chosen ? place.rows / kAtomRows : 0};
    int row = place.atom * kAtomRows + place.rows / kAtomRows * kAtomRows;
    int count = place.rows % kAtomRows;
    if (!is_chosen) {
      row = plan.centroid_atom * kAtomRows + cluster;
      count = tail && place.rows > 0 ? 1 : 0;
    }
    const unsigned with_runs = __ballot_sync(~0u, run.atoms > 0);
    if (run.atoms > 0) runs[sizes.runs + __popc(with_runs & ((1u << lane) - 1))] = run;
    int total;
    int at = sizes.rows + sum_of_lanes_before(count, total);
    for (; count > 0; --count) rows[at++] = row++;
    sizes.runs += __popc(with_runs);
    sizes.atoms += __reduce_add_sync(~0u, run.atoms);
    sizes.rows += total;
  }
  if (lane == 0) plan.lists[pair] = sizes;
}

/// A block for a head; it counts the work of the heads before its own for itself. Pieces of many
/// warpgroups come first, so that what runs at one time walks over the keys equally fast.
__global__ void __launch_bounds__(kScanThreads)
    list_work(const int* q_offsets, std::int64_t head_stride, int tile_rows, SparsePlan plan) {
  const auto tiles_of = [&](int head, int cluster) {
    const int* offset = q_offsets + head * head_stride + cluster;
    return (offset[1] - offset[0] + tile_rows - 1) / tile_rows;
  };
  const int head = blockIdx.x;
  int before = 0;
  for (int pair = threadIdx.x; pair < head * plan.q_clusters; pair += kScanThreads)
    before += tiles_of(pair / plan.q_clusters, pair % plan.q_clusters);
  int begin;
  exclusive_sum(before, begin);
  for (int warpgroups = tile_rows / kQueryUnit; warpgroups > 0; --warpgroups) {
    for (int first = 0; first < plan.q_clusters; first += kScanThreads) {
      const int cluster = first + static_cast<int>(threadIdx.x);
      const int* offset = q_offsets + head * head_stride + cluster;
      const int tiles = cluster < plan.q_clusters ? tiles_of(head, cluster) : 0;
      // The pieces of a cluster have equally many warpgroups, or the first ones have one more.
      const int units = tiles == 0 ? 0 : (offset[1] - offset[0] + kQueryUnit - 1) / kQueryUnit;
      const int larger = tiles == 0 ? 0 : units % tiles;
      int of_this_size = 0;
      int from = 0;  // the first of them in the cluster
      if (tiles > 0 && larger > 0 && units / tiles + 1 == warpgroups) of_this_size = larger;
      if (tiles > 0 && units / tiles == warpgroups) {
        of_this_size = tiles - larger;
        from = larger;
      }
      int total;
      const int at = begin + exclusive_sum(of_this_size, total);
      begin += total;
      if (of_this_size == 0) continue;
      const int pair = head * plan.q_clusters + cluster;
      const KeyLists keys = plan.lists[pair];
      // All pieces before the first of this size are of one warpgroup more.
      int place = offset[0] + from * (warpgroups + 1) * kQueryUnit;
      for (int i = 0; i < of_this_size; ++i) {
        const int rows = min(warpgroups * kQueryUnit, offset[1] - place);
        plan.work[at + i] = {head, pair, place, rows, keys, 0};
        place += rows;
      }
    }
  }
  if (head == plan.heads - 1 && threadIdx.x == 0) {
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
/// A chosen cluster has up to 7 rows besides its atoms, another at most its centroid.
int pair_rows(const BlockSparseAttentionParams& params) {
  return static_cast<int>(params.chosen.size(2) * (kAtomRows - 1));
}
std::int64_t atom_bytes(const BlockSparseAttentionParams& params) {
  return kAtomRows * params.q.size(2) * 2;
}

}  // namespace

std::size_t sparse_plan_bytes(const BlockSparseAttentionParams& params) {
  const std::int64_t lists = params.chosen.size(2) * std::int64_t{sizeof(AtomRun)} +
                             pair_rows(params) * std::int64_t{sizeof(int)};
  return static_cast<std::size_t>(2 * head_atoms(params) * atom_bytes(params) +
                                  params.chosen.size(1) * lists);
}

SparsePlan plan_sparse(const BlockSparseAttentionParams& params, int first, int heads,
                       int tile_rows, Arena& arena, cudaStream_t stream) {
  const auto q_clusters = static_cast<int>(params.chosen.size(1));
  const auto k_clusters = static_cast<int>(params.chosen.size(2));
  const bool tail = params.k_mean.defined();
  SparsePlan plan{};
  plan.heads = heads;
  plan.q_clusters = q_clusters;
  plan.k_clusters = k_clusters;
  plan.pair_rows = pair_rows(params);
  plan.head_atoms = head_atoms(params);
  plan.centroid_atom = head_token_atoms(params);
  const std::int64_t atoms = static_cast<std::int64_t>(heads) * plan.head_atoms + kZeroAtoms;
  plan.k = arena.array<unsigned char>(atoms * atom_bytes(params));
  plan.v = arena.array<unsigned char>(atoms * atom_bytes(params));
  plan.places = arena.array<ClusterPlace>(std::int64_t{heads} * k_clusters);
  plan.centroid_bias = arena.array<float>(std::int64_t{heads} * k_clusters);
  const std::int64_t pairs = std::int64_t{heads} * q_clusters;
  plan.lists = arena.array<KeyLists>(pairs);
  plan.runs = arena.array<AtomRun>(pairs * k_clusters);
  plan.rows = arena.array<int>(pairs * plan.pair_rows);
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

  list_keys<<<ceil_div(heads * q_clusters, kWarps), 32 * kWarps, 0, stream>>>(
      params.chosen.as<std::uint8_t>() + first * params.chosen.stride(0), params.chosen.stride(0),
      params.chosen.stride(1), tail, plan);
  check_launch("block_sparse_attention");
  list_work<<<heads, kScanThreads, 0, stream>>>(ints(params.q_offsets), params.q_offsets.stride(0),
                                                tile_rows, plan);
  check_launch("block_sparse_attention");
  return plan;
}

}  // namespace sparsevid::ops::cuda
