// The problem: tables and lists of what each query cluster attends to, 0.4 GB of them for Wan 14B
//   (40 heads x 75,600 x 128, 300 x 1,000 clusters), and the first head's keys and values.
// Plan: place_clusters, a block for a head: atoms of the clusters by a scan. pack_first_heads, a
//   warp for a cluster. list_keys, a warp for a pair of head and query cluster. list_work, a block
//   for a head: sorts its query clusters by the keys on their lists and scans over them, so that
//   what runs at one time reads about the same keys of one head, which the L2 cache holds.
// Bound: latencies.
// Tried: lists made by the loading warps while the attention runs, which one warp is too slow for;
//   work listed by a single block: 90 us.
#include <algorithm>

#include "ops/cuda/attention_hopper/pack_keys.h"
#include "ops/cuda/attention_hopper/sparse_plan.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kScanThreads = 1024;
/// The attention works on two or three heads at a time, and those that pack are ahead of it.
constexpr int kHeldHeads = 6;

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

/// Heads [0, packed_heads), a warp for a cluster or an atom of centroids.
template <int kHeadDim>
__global__ void __launch_bounds__(256) pack_first_heads(SparsePlan plan) {
  const auto warps = static_cast<int>(blockDim.x / 32);
  HeadPacker<kHeadDim>(plan, static_cast<int>(blockIdx.y))
      .pack(static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x / 32),
            static_cast<int>(gridDim.x) * warps);
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

/// How the queries of a cluster are cut: into pieces of `warpgroups` of them, or one more if they
/// are among the `larger` first.
struct Cut {
  int pieces;
  int warpgroups;
  int larger;

  __device__ Cut(int rows, int most) {
    const int units = (rows + kQueryUnit - 1) / kQueryUnit;
    pieces = (units + most - 1) / most;
    warpgroups = pieces == 0 ? 0 : units / pieces;
    larger = units - warpgroups * pieces;
  }
  /// Where a piece begins, or the last one ends.
  __device__ int first_row(int piece) const {
    return kQueryUnit * (piece * warpgroups + min(piece, larger));
  }
  /// The pieces of `from` to `to` warpgroups begin and end here.
  __device__ int begin(int to) const { return warpgroups + 1 <= to ? 0 : larger; }
  __device__ int end(int from) const { return warpgroups >= from ? pieces : larger; }
  __device__ int count(int from, int to) const {
    return warpgroups > to || warpgroups + 1 < from ? 0 : max(end(from) - begin(to), 0);
  }
};

__device__ int keys_of(const KeyLists& lists) { return lists.atoms * kAtomRows + lists.rows; }

/// Sorts the clusters of this block's head, those with the longest lists of keys first. Then blocks
/// that begin at one time walk over the keys equally fast, so that the L2 cache need not hold them
/// all; and nobody begins the text's long list when the others are done.
__device__ void sort_by_keys(const WorkLists& plan) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * plan.q_clusters;
  const KeyLists* const lists = plan.lists + first;
  for (int cluster = threadIdx.x; cluster < plan.q_clusters; cluster += kScanThreads) {
    const int keys = keys_of(lists[cluster]);
    int before = 0;
#pragma unroll 4
    for (int other = 0; other < plan.q_clusters; ++other) {
      const int of_other = keys_of(lists[other]);
      before += of_other > keys || (of_other == keys && other < cluster) ? 1 : 0;
    }
    plan.by_keys[first + before] = cluster;
  }
  __syncthreads();
}

/// Queues the pieces of this block's head that have `from` to `to` warpgroups. It counts those of
/// the heads before for itself.
__device__ void queue_pieces(const int* q_offsets, std::int64_t head_stride, int most, int from,
                             int to, const WorkLists& plan, const WorkQueue& queue) {
  const auto cut_of = [&](int head, int cluster) {
    const int* offset = q_offsets + head * head_stride + cluster;
    return Cut(offset[1] - offset[0], most);
  };
  const int head = blockIdx.x;
  int before = 0;
#pragma unroll 1
  for (int pair = threadIdx.x; pair < head * plan.q_clusters; pair += kScanThreads)
    before += cut_of(pair / plan.q_clusters, pair % plan.q_clusters).count(from, to);
  int begin;
  exclusive_sum(before, begin);
  const int head_begin = begin;
  unsigned long long amount = 0;
#pragma unroll 1
  for (int first = 0; first < plan.q_clusters; first += kScanThreads) {
    const int at_cluster = first + static_cast<int>(threadIdx.x);
    const bool inside = at_cluster < plan.q_clusters;
    const int cluster =
        inside ? plan.by_keys[static_cast<std::int64_t>(head) * plan.q_clusters + at_cluster] : 0;
    const Cut cut = cut_of(head, cluster);
    const int count = inside ? cut.count(from, to) : 0;
    int total;
    int at = begin + exclusive_sum(count, total);
    begin += total;
    if (count == 0) continue;
    const int pair = head * plan.q_clusters + cluster;
    const KeyLists keys = plan.lists[pair];
    const int* offset = q_offsets + head * head_stride + cluster;
    for (int piece = cut.begin(to); piece < cut.end(from); ++piece) {
      const int first_row = offset[0] + cut.first_row(piece);
      const int end_row = min(offset[0] + cut.first_row(piece + 1), offset[1]);
      queue.work[at++] = {head, pair, first_row, end_row - first_row, keys, 0};
    }
    const int rows = cut.first_row(cut.end(from)) - cut.first_row(cut.begin(to));
    amount += static_cast<unsigned long long>(rows / kQueryUnit) * (keys_of(keys) + 1);
  }
  if (amount > 0) atomicAdd(queue.amount, amount);
  if (threadIdx.x == 0) plan.pieces[head] += begin - head_begin;
  if (head == plan.heads - 1 && threadIdx.x == 0) *queue.count = begin;
}

/// A block for a head.
__global__ void __launch_bounds__(kScanThreads, 1)
    list_work_of_heads(const int* q_offsets, std::int64_t head_stride, int large, int small,
                       const __grid_constant__ WorkLists plan) {
  sort_by_keys(plan);
  queue_pieces(q_offsets, head_stride, large, small + 1, large, plan, plan.large);
  if (small > 0) queue_pieces(q_offsets, head_stride, large, 1, small, plan, plan.small);
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

int heads_planned_in(const BlockSparseAttentionParams& params, std::size_t bytes) {
  const std::int64_t lists = params.chosen.size(2) * std::int64_t{sizeof(AtomRun)} +
                             pair_rows(params) * std::int64_t{sizeof(int)};
  const std::int64_t held = kHeldHeads * 2 * head_atoms(params) * atom_bytes(params);
  const std::int64_t heads =
      (static_cast<std::int64_t>(bytes) - held) / (params.chosen.size(1) * lists);
  return static_cast<int>(std::clamp<std::int64_t>(heads, 1, params.q.size(0)));
}

WorkLists empty_work_lists(const BlockSparseAttentionParams& params, int heads, int large_rows,
                           Arena& arena, cudaStream_t stream) {
  const std::int64_t q_clusters = params.chosen.size(1);
  WorkLists lists{};
  lists.heads = heads;
  lists.q_clusters = static_cast<int>(q_clusters);
  lists.lists = arena.array<KeyLists>(heads * q_clusters);
  lists.by_keys = arena.array<int>(heads * q_clusters);
  // Cleared together: two amounts, two pairs of counters, pieces.
  const std::int64_t numbers = 4 + ceil_div(heads, 2);
  auto* const amounts = arena.array<unsigned long long>(numbers);
  check(cudaMemsetAsync(amounts, 0, numbers * sizeof(*amounts), stream), "block_sparse_attention");
  int* const counters = reinterpret_cast<int*>(amounts + 2);
  const auto queue = [&](int index) {
    const std::int64_t most = heads * (params.q.size(1) / large_rows + q_clusters);
    return WorkQueue{arena.array<SparseWork>(most), counters + 2 * index, counters + 2 * index + 1,
                     amounts + index};
  };
  lists.large = queue(0);
  lists.small = queue(1);
  lists.pieces = counters + 4;
  return lists;
}

void list_work(const BlockSparseAttentionParams& params, int first, const WorkLists& lists,
               int large_rows, int small_rows, cudaStream_t stream) {
  const TensorView& offsets = params.q_offsets;
  list_work_of_heads<<<lists.heads, kScanThreads, 0, stream>>>(
      offsets.as<std::int32_t>() + first * offsets.stride(0), offsets.stride(0),
      large_rows / kQueryUnit, small_rows / kQueryUnit, lists);
  check_launch("block_sparse_attention");
}

SparsePlan plan_sparse(const BlockSparseAttentionParams& params, int first, int heads,
                       int large_rows, int small_rows, Arena& arena, cudaStream_t stream) {
  const auto q_clusters = static_cast<int>(params.chosen.size(1));
  const auto k_clusters = static_cast<int>(params.chosen.size(2));
  const bool tail = params.k_mean.defined();
  SparsePlan plan{};
  static_cast<WorkLists&>(plan) = empty_work_lists(params, heads, large_rows, arena, stream);
  plan.held_heads = std::min(heads, kHeldHeads);
  plan.packed_heads = 1;
  plan.k_clusters = k_clusters;
  plan.pair_rows = pair_rows(params);
  plan.head_atoms = head_atoms(params);
  plan.centroid_atom = head_token_atoms(params);
  const std::int64_t atoms = static_cast<std::int64_t>(plan.held_heads) * plan.head_atoms;
  for (unsigned char** to : {&plan.k, &plan.v}) {
    const std::int64_t zero_bytes = kZeroAtoms * atom_bytes(params);
    *to = arena.array<unsigned char>(atoms * atom_bytes(params) + zero_bytes);
    check(cudaMemsetAsync(*to + atoms * atom_bytes(params), 0, zero_bytes, stream),
          "block_sparse_attention");
  }
  plan.places = arena.array<ClusterPlace>(std::int64_t{heads} * k_clusters);
  plan.centroid_bias = arena.array<float>(std::int64_t{heads} * k_clusters);
  const std::int64_t pairs = std::int64_t{heads} * q_clusters;
  plan.runs = arena.array<AtomRun>(pairs * k_clusters);
  plan.rows = arena.array<int>(pairs * plan.pair_rows);
  const std::int64_t counts = 2 * std::int64_t{heads};
  plan.packed = arena.array<int>(counts);
  plan.attended = plan.packed + heads;
  check(cudaMemsetAsync(plan.packed, 0, counts * sizeof(int), stream), "block_sparse_attention");

  const auto ints = [&](const TensorView& view) {
    return view.as<std::int32_t>() + first * view.stride(0);
  };
  place_clusters<<<heads, kScanThreads, 0, stream>>>(
      ints(params.k_offsets), params.k_offsets.stride(0), k_clusters, params.scale, plan);
  check_launch("block_sparse_attention");

  KeySources& a = plan.keys;
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
  a.k_offsets = ints(params.k_offsets);
  a.k_offsets_stride = params.k_offsets.stride(0);
  if (tail) {
    a.k_mean = params.k_mean.as<float>() + first * params.k_mean.stride(0);
    a.v_mean = params.v_mean.as<float>() + first * params.v_mean.stride(0);
    a.k_mean_head_stride = params.k_mean.stride(0);
    a.k_mean_row_stride = params.k_mean.stride(1);
    a.v_mean_head_stride = params.v_mean.stride(0);
    a.v_mean_row_stride = params.v_mean.stride(1);
  }
  constexpr int kWarps = 8;
  const dim3 grid(ceil_div(k_clusters + ceil_div(k_clusters, kAtomRows), kWarps),
                  plan.packed_heads);
  const auto pack = params.q.size(2) == 128 ? pack_first_heads<128> : pack_first_heads<64>;
  pack<<<grid, 32 * kWarps, 0, stream>>>(plan);
  check_launch("block_sparse_attention");

  list_keys<<<ceil_div(heads * q_clusters, kWarps), 32 * kWarps, 0, stream>>>(
      params.chosen.as<std::uint8_t>() + first * params.chosen.stride(0), params.chosen.stride(0),
      params.chosen.stride(1), tail, plan);
  check_launch("block_sparse_attention");
  list_work(params, first, plan, large_rows, small_rows, stream);
  return plan;
}

}  // namespace sparsevid::ops::cuda
