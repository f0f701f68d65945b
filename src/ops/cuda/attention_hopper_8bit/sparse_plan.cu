// The problem: 2.3 GB of queries, keys and values (Wan 14B: 40 heads x 75,600 x 128) to 1.2 GB in
//   cluster order, keys and values read before for their means, keys once more for their largest
//   magnitude after the transform; everything else here is lists.
// Plan: head_statistics.h; largest_keys, a block for 512 tokens; place_clusters, a list of atoms;
//   round_to_clusters and round_values_to_clusters, whose blocks take 128 queries or some atoms
//   each; list_pair, a warp for a pair of head and query cluster.
// The atoms of a cluster begin at its first place / 16 + its number, which leaves room for all of
//   them without adding up anything.
// Bound: memory, but for round_to_clusters the latency of token numbers, rows and stores.
// Tried: atoms that find their cluster by bisection: round_to_clusters 2.1 ms. Values rounded by
//   the same kernel, of 108 registers and not 58: all of this 2.20 instead of 2.01 ms.
#include "ops/cuda/attention_hopper_8bit/sparse_plan.h"

#include <numbers>

#include "ops/cuda/attention_hopper_8bit/head_statistics.h"
#include "ops/cuda/common/reduce.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kNoWeight = -INFINITY;  // as a bias

__host__ __device__ constexpr int first_atom(int begin, int cluster) {
  return begin / kAtomKeys + cluster;
}

struct Clusters8 {
  const int* q_order;
  std::int64_t q_order_stride;
  const int* k_order;
  std::int64_t k_order_stride;
  const int* k_offsets;
  std::int64_t k_offsets_stride;
  const std::uint8_t* chosen;
  std::int64_t chosen_head_stride;
  std::int64_t chosen_row_stride;
  const float* k_mean;  // null without a tail
  std::int64_t k_mean_head_stride;
  std::int64_t k_mean_row_stride;
  const float* v_mean;
  std::int64_t v_mean_head_stride;
  std::int64_t v_mean_row_stride;
};

/// The keys of one atom.
struct AtomKeys {
  int begin;  // place of the first in the order of the keys
  int count;  // at most 16; 0: the atom is not used
};

/// Blocks (head, some clusters): atoms[head][atom].
__global__ void __launch_bounds__(kThreads)
    place_clusters(const __grid_constant__ Clusters8 clusters, int k_clusters, int head_atoms,
                   AtomKeys* atoms) {
  const int cluster = static_cast<int>(blockIdx.y * kThreads + threadIdx.x);
  if (cluster >= k_clusters) return;
  const int* const offset = clusters.k_offsets + blockIdx.x * clusters.k_offsets_stride + cluster;
  const int end = offset[1];
  atoms += static_cast<std::int64_t>(blockIdx.x) * head_atoms;
  const int last = first_atom(end, cluster + 1);
  int begin = offset[0];
  for (int atom = first_atom(begin, cluster); atom < last; ++atom, begin += kAtomKeys)
    atoms[atom] = {begin, max(0, min(kAtomKeys, end - begin))};
}

/// Blocks (head, piece of tokens): largest[head], the magnitude of keys that becomes 127.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads)
    largest_keys(HeadRows k, const float* rotated_mean, float* k_largest) {
  const int head = blockIdx.x;
  const int end = min(k.rows, static_cast<int>(blockIdx.y + 1) * kPieceRows);
  const Rotation<kHeadDim> rotation;
  float largest = 0;
  for (int first = blockIdx.y * kPieceRows + static_cast<int>(threadIdx.x) / 32 * kAtomKeys;
       first < end; first += kThreads / 32 * kAtomKeys) {
    const int row = first + threadIdx.x % 32 / 4;
    const __nv_bfloat16* const rows[2] = {k.row(head, min(row, end - 1)),
                                          k.row(head, min(row + 8, end - 1))};
    RotatedRows<kHeadDim> x;
    load_keys<kHeadDim>(rotation, rows, rotated_mean + head * kHeadDim, x);
    largest = fmaxf(largest, fmaxf(largest_magnitude(x[0]), largest_magnitude(x[1])));
  }
  largest = largest_of_lanes(largest, 31);
  // Bits of floats that are not negative are in order.
  if (threadIdx.x % 32 == 0)
    atomicMax(reinterpret_cast<int*>(k_largest) + head, __float_as_int(largest));
}

struct RoundClustersArguments {
  HeadRows q;
  HeadRows k;
  HeadRows v;
  Clusters8 clusters;
  SparsePlan8 plan;
  HeadStatistics statistics;
  const AtomKeys* atoms;  // [heads, centroid_atom]
  float* k_largest;       // [heads]
  float* lost;            // [heads, value_blocks, head_dim]
  float scale_log2;       // of products of rotated queries and keys
  int q_blocks;
  int key_blocks;
  int value_blocks;
};

template <int kHeadDim>
__device__ unsigned char* key_atom(const SparsePlan8& plan, int head, int atom) {
  return plan.k +
         (static_cast<std::int64_t>(head) * plan.head_atoms + atom) * key_atom_bytes(kHeadDim);
}
template <int kHeadDim>
__device__ unsigned char* value_atom(const SparsePlan8& plan, int head, int atom) {
  return plan.v +
         (static_cast<std::int64_t>(head) * plan.head_atoms + atom) * value_atom_bytes(kHeadDim);
}

/// Sixteen queries by a warp.
template <int kHeadDim>
__device__ void round_queries(const RoundClustersArguments& a, int head, int first) {
  const int lane = threadIdx.x % 32;
  const int* const order = a.clusters.q_order + head * a.clusters.q_order_stride;
  const auto row_of = [&](int place) {
    return place < a.q.rows ? a.q.row(head, order[place]) : nullptr;
  };
  first += lane / 4;
  const __nv_bfloat16* const rows[2] = {row_of(first), row_of(first + 8)};
  RotatedRows<kHeadDim> x;
  load_rotated<kHeadDim>({}, rows, x);
  const float k_scale = a.k_largest[head] / kLargestInt8 * a.scale_log2;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float largest = largest_of_lanes(largest_magnitude(x[h]), 3);
    if (rows[h] == nullptr) continue;
    // Where all logits are near 0 fewer than 127 steps will do, so that a bias fits beside them.
    const float finest = largest / kLargestInt8 * k_scale;
    const float scale = fmaxf(finest, kLeastScale);
    const std::int64_t at = static_cast<std::int64_t>(head) * a.q.rows + first + 8 * h;
    store_query<kHeadDim>(x[h], inverse_scale(largest) * (finest / scale),
                          a.plan.q + at * kHeadDim);
    if (lane % 4 == 0) a.plan.q_scale[at] = scale;
  }
}

/// The tokens of an atom; returns how many there are.
__device__ inline int keys_of_atom(const RoundClustersArguments& a, int head, int atom,
                                   const int*& tokens) {
  if (atom >= a.plan.centroid_atom) return 0;
  const AtomKeys keys = a.atoms[static_cast<std::int64_t>(head) * a.plan.centroid_atom + atom];
  tokens = a.clusters.k_order + head * a.clusters.k_order_stride + keys.begin;
  return keys.count;
}

/// An atom by a warp.
template <int kHeadDim>
__device__ void round_atom_of_keys(const RoundClustersArguments& a, int head, int atom) {
  const int* tokens;
  const int count = keys_of_atom(a, head, atom, tokens);
  if (count == 0) return;
  const int row = threadIdx.x % 32 / 4;
  const __nv_bfloat16* const rows[2] = {a.k.row(head, tokens[min(row, count - 1)]),
                                        a.k.row(head, tokens[min(row + 8, count - 1)])};
  RotatedRows<kHeadDim> x;
  load_keys<kHeadDim>({}, rows, a.statistics.k_rotated_mean + head * kHeadDim, x);
  store_keys<kHeadDim>(x, inverse_scale(a.k_largest[head]), key_atom<kHeadDim>(a.plan, head, atom));
}

template <int kHeadDim>
__device__ ValueScales value_scales(const RoundClustersArguments& a, int head) {
  return {a.statistics.v_mean + head * kHeadDim, a.statistics.v_scale + head * kHeadDim};
}

/// Returns what rounding took.
template <int kHeadDim>
__device__ float2 round_atom_of_values(const RoundClustersArguments& a, int head, int atom) {
  const int* tokens;
  const int count = keys_of_atom(a, head, atom, tokens);
  if (count == 0) return make_float2(0, 0);
  return round_values<kHeadDim>(
      [&](int i, int pair) {
        const auto* row =
            reinterpret_cast<const __nv_bfloat162*>(a.v.row(head, tokens[min(i, count - 1)]));
        return __bfloat1622float2(row[pair]);
      },
      [&](int i) { return i < count; }, value_scales<kHeadDim>(a, head), atom,
      value_atom<kHeadDim>(a.plan, head, atom));
}

/// Blocks (head, some queries, then some atoms of keys).
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads)
    round_to_clusters(const __grid_constant__ RoundClustersArguments a) {
  constexpr int kWarps = kThreads / 32;
  const int head = blockIdx.x;
  const int block = blockIdx.y;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (block < a.q_blocks)
    round_queries<kHeadDim>(a, head, (block * kWarps + warp) * kAtomKeys);
  else
    round_atom_of_keys<kHeadDim>(a, head, (block - a.q_blocks) * kWarps + warp);
}

/// Blocks (head, some atoms of values): half the registers of round_to_clusters, so that twice as
/// many rows are on their way.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads)
    round_values_to_clusters(const __grid_constant__ RoundClustersArguments a) {
  constexpr int kAtThreads = threads_per_value_atom(kHeadDim);
  const int head = blockIdx.x;
  const int block = blockIdx.y;
  const int thread = static_cast<int>(threadIdx.x);
  const float2 lost = round_atom_of_values<kHeadDim>(
      a, head, block * (kThreads / kAtThreads) + thread / kAtThreads);
  store_lost<kHeadDim>(
      lost, a.lost + (static_cast<std::int64_t>(head) * a.value_blocks + block) * kHeadDim);
}

/// Blocks (head, atom of centroids) of head_dim / 2 threads. After the means of the values are
/// corrected, as what is rounded here has no such error.
template <int kHeadDim>
__global__ void __launch_bounds__(threads_per_value_atom(kHeadDim))
    round_centroids(const __grid_constant__ RoundClustersArguments a) {
  const int head = blockIdx.x;
  const int first = static_cast<int>(blockIdx.y) * kAtomKeys;
  const int atom = a.plan.centroid_atom + static_cast<int>(blockIdx.y);
  const auto cluster_of = [&](int i) { return min(first + i, a.plan.k_clusters - 1); };
  const int* const offsets = a.clusters.k_offsets + head * a.clusters.k_offsets_stride;
  const auto exists = [&](int i) {
    const int cluster = first + i;
    return cluster < a.plan.k_clusters && offsets[cluster + 1] > offsets[cluster];
  };
  round_values<kHeadDim>(
      [&](int i, int pair) {
        const auto* row = reinterpret_cast<const float2*>(
            a.clusters.v_mean + head * a.clusters.v_mean_head_stride +
            cluster_of(i) * a.clusters.v_mean_row_stride);
        return row[pair];
      },
      exists, value_scales<kHeadDim>(a, head), atom, value_atom<kHeadDim>(a.plan, head, atom));
  if (threadIdx.x >= 32) return;
  RotatedRows<kHeadDim> x;
  const Rotation<kHeadDim> rotation;
  rotation(
      [&](int h, int i) {
        float centroid[8];
        float mean[8];
        const int row = static_cast<int>(threadIdx.x) / 4 + 8 * h;
        load_floats(a.clusters.k_mean + head * a.clusters.k_mean_head_stride +
                        cluster_of(row) * a.clusters.k_mean_row_stride + 8 * i,
                    centroid);
        load_floats(a.statistics.k_mean + head * kHeadDim + 8 * i, mean);
        uint4 packed{};
        if (!exists(row)) return packed;
        packed.x = pack_bf16(centroid[0] - mean[0], centroid[1] - mean[1]);
        packed.y = pack_bf16(centroid[2] - mean[2], centroid[3] - mean[3]);
        packed.z = pack_bf16(centroid[4] - mean[4], centroid[5] - mean[5]);
        packed.w = pack_bf16(centroid[6] - mean[6], centroid[7] - mean[7]);
        return packed;
      },
      x);
  // A mean of the largest keys may be past them by its own rounding.
  const float most = a.k_largest[head];
#pragma unroll
  for (int h = 0; h < 2; ++h)
#pragma unroll
    for (int i = 0; i < kHeadDim / 4; ++i) x[h][i] = fminf(fmaxf(x[h][i], -most), most);
  store_keys<kHeadDim>(x, inverse_scale(most), key_atom<kHeadDim>(a.plan, head, atom));
}

/// A warp for a pair: its list of atoms, its bias of centroids.
__global__ void __launch_bounds__(kThreads) list_pair(const __grid_constant__ Clusters8 clusters,
                                                      const __grid_constant__ SparsePlan8 plan) {
  const int pair = static_cast<int>(blockIdx.x * (kThreads / 32) + threadIdx.x / 32);
  if (pair >= plan.heads * plan.q_clusters) return;
  const int lane = threadIdx.x % 32;
  const int head = pair / plan.q_clusters;
  const int q_cluster = pair % plan.q_clusters;
  const std::uint8_t* const chosen =
      clusters.chosen + head * clusters.chosen_head_stride + q_cluster * clusters.chosen_row_stride;
  const int* const k_offsets = clusters.k_offsets + head * clusters.k_offsets_stride;
  int* const atoms = plan.atoms + static_cast<std::int64_t>(pair) * plan.pair_atoms;
  float* const bias = plan.bias + static_cast<std::int64_t>(pair) * plan.centroid_atoms * kAtomKeys;
  int listed = 0;
  for (int first = 0; first < plan.k_clusters; first += 32) {
    const int cluster = first + lane;
    const bool inside = cluster < plan.k_clusters;
    const int begin = inside ? k_offsets[cluster] : 0;
    const int rows = inside ? k_offsets[cluster + 1] - begin : 0;
    const bool is_chosen = inside && chosen[cluster] != 0;
    if (inside && plan.centroid_atoms > 0)
      bias[cluster] = is_chosen || rows == 0 ? kNoWeight : log2f(static_cast<float>(rows));
    const int count = is_chosen ? ceil_div(rows, kAtomKeys) : 0;
    int total;
    int at = listed + sum_of_lanes_before(count, total);
    for (int i = 0; i < count; ++i) atoms[at++] = first_atom(begin, cluster) + i;
    listed += total;
  }
  for (int i = plan.k_clusters + lane; i < plan.centroid_atoms * kAtomKeys; i += 32)
    bias[i] = kNoWeight;
  if (lane == 0) plan.lists[pair] = {0, listed, 0};
}

/// How much there is of everything for one head.
struct Sizes8 {
  int q_len;
  int k_len;
  int q_clusters;
  int k_clusters;
  int token_atoms;
  int centroid_atoms;
  int value_blocks;
  int head_work;

  int head_atoms() const { return token_atoms + centroid_atoms; }
};

template <int kHeadDim>
Sizes8 sizes_of(const BlockSparseAttentionParams& params, int tile_atoms) {
  Sizes8 sizes{};
  sizes.q_len = static_cast<int>(params.q.size(1));
  sizes.k_len = static_cast<int>(params.k.size(1));
  sizes.q_clusters = static_cast<int>(params.chosen.size(1));
  sizes.k_clusters = static_cast<int>(params.chosen.size(2));
  sizes.token_atoms = first_atom(sizes.k_len, sizes.k_clusters);
  if (params.k_mean.defined())
    sizes.centroid_atoms = ceil_div(sizes.k_clusters, tile_atoms * kAtomKeys) * tile_atoms;
  sizes.value_blocks = ceil_div(sizes.token_atoms, kThreads / threads_per_value_atom(kHeadDim));
  sizes.head_work = sizes.q_len / kWorkRows8 + sizes.q_clusters;
  return sizes;
}

template <int kHeadDim>
std::size_t plan_bytes(const BlockSparseAttentionParams& params, int tile_atoms) {
  const Sizes8 sizes = sizes_of<kHeadDim>(params, tile_atoms);
  const auto bytes = [](std::int64_t count, std::size_t size) {
    return static_cast<std::size_t>(count) * size;
  };
  const std::int64_t pair = bytes(sizes.token_atoms, sizeof(int)) +
                            bytes(sizes.centroid_atoms, kAtomKeys * sizeof(float));
  return bytes(sizes.q_len, kHeadDim + sizeof(float)) +
         bytes(sizes.head_atoms(), key_atom_bytes(kHeadDim) + value_atom_bytes(kHeadDim)) +
         bytes(sizes.token_atoms, sizeof(AtomKeys)) + bytes(sizes.q_clusters, pair) +
         bytes(sizes.head_work, sizeof(SparseWork)) +
         bytes(sizes.value_blocks, kHeadDim * sizeof(float)) +
         statistics_bytes(sizes.k_len, kHeadDim);
}

template <int kHeadDim>
SparsePlan8 plan(const BlockSparseAttentionParams& params, int first, int heads, int tile_atoms,
                 Arena& arena, cudaStream_t stream) {
  const Sizes8 sizes = sizes_of<kHeadDim>(params, tile_atoms);
  const auto times = [heads](std::int64_t count) { return heads * count; };
  const std::int64_t pairs = times(sizes.q_clusters);
  const auto zeros_bytes = static_cast<std::int64_t>(tile_atoms) * value_atom_bytes(kHeadDim);
  const std::int64_t value_bytes = times(sizes.head_atoms()) * value_atom_bytes(kHeadDim);

  const HeadRows q = head_rows_from(params.q, first);
  const HeadRows k = head_rows_from(params.k, first);
  const HeadRows v = head_rows_from(params.v, first);
  const HeadStatistics statistics = head_statistics<kHeadDim>(k, v, heads, arena, stream);

  SparsePlan8 to{};
  static_cast<WorkLists&>(to) = empty_work_lists(params, heads, kWorkRows8, arena, stream);
  to.q_len = sizes.q_len;
  to.k_clusters = sizes.k_clusters;
  to.head_atoms = sizes.head_atoms();
  to.centroid_atom = sizes.token_atoms;
  to.centroid_atoms = sizes.centroid_atoms;
  to.pair_atoms = sizes.token_atoms;
  to.q = arena.array<unsigned char>(times(sizes.q_len) * kHeadDim);
  to.k = arena.array<unsigned char>(times(sizes.head_atoms()) * key_atom_bytes(kHeadDim));
  to.v = arena.array<unsigned char>(value_bytes + zeros_bytes);
  to.q_scale = arena.array<float>(times(sizes.q_len));
  to.v_scale = statistics.v_scale;
  to.v_mean = statistics.v_mean;
  to.bias = arena.array<float>(pairs * sizes.centroid_atoms * kAtomKeys);
  to.atoms = arena.array<int>(pairs * to.pair_atoms);
  const auto k_largest = arena.array<float>(heads);
  check(cudaMemsetAsync(k_largest, 0, heads * sizeof(float), stream), "attention_8bit");
  check(cudaMemsetAsync(to.v + value_bytes, 0, zeros_bytes, stream), "attention_8bit");

  const dim3 pieces(static_cast<unsigned>(heads),
                    static_cast<unsigned>(statistics_pieces(sizes.k_len)));
  largest_keys<kHeadDim><<<pieces, kThreads, 0, stream>>>(k, statistics.k_rotated_mean, k_largest);
  check_launch("attention_8bit");

  RoundClustersArguments a{};
  a.q = q;
  a.k = k;
  a.v = v;
  Clusters8& c = a.clusters;
  const auto table = [first](const TensorView& view, auto*& data, std::int64_t& stride) {
    using Element =
        std::remove_const_t<std::remove_pointer_t<std::remove_reference_t<decltype(data)>>>;
    data = view.as<Element>() + first * view.stride(0);
    stride = view.stride(0);
  };
  table(params.q_order, c.q_order, c.q_order_stride);
  table(params.k_order, c.k_order, c.k_order_stride);
  table(params.k_offsets, c.k_offsets, c.k_offsets_stride);
  table(params.chosen, c.chosen, c.chosen_head_stride);
  c.chosen_row_stride = params.chosen.stride(1);
  if (params.k_mean.defined()) {
    table(params.k_mean, c.k_mean, c.k_mean_head_stride);
    table(params.v_mean, c.v_mean, c.v_mean_head_stride);
    c.k_mean_row_stride = params.k_mean.stride(1);
    c.v_mean_row_stride = params.v_mean.stride(1);
  }
  a.statistics = statistics;
  a.k_largest = k_largest;
  const auto atoms = arena.array<AtomKeys>(times(sizes.token_atoms));
  a.atoms = atoms;
  a.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e / kHeadDim);
  a.q_blocks = ceil_div(sizes.q_len, kThreads / 32 * kAtomKeys);
  a.key_blocks = ceil_div(sizes.token_atoms, kThreads / 32);
  a.value_blocks = sizes.value_blocks;
  a.lost = arena.array<float>(times(sizes.value_blocks) * kHeadDim);
  a.plan = to;
  const dim3 clusters(static_cast<unsigned>(heads),
                      static_cast<unsigned>(ceil_div(sizes.k_clusters, kThreads)));
  place_clusters<<<clusters, kThreads, 0, stream>>>(c, sizes.k_clusters, sizes.token_atoms, atoms);
  check_launch("attention_8bit");
  const auto blocks = [heads](int of_head) {
    return dim3(static_cast<unsigned>(heads), static_cast<unsigned>(of_head));
  };
  round_to_clusters<kHeadDim><<<blocks(a.q_blocks + a.key_blocks), kThreads, 0, stream>>>(a);
  check_launch("attention_8bit");
  round_values_to_clusters<kHeadDim><<<blocks(a.value_blocks), kThreads, 0, stream>>>(a);
  check_launch("attention_8bit");
  correct_means<kHeadDim>
      <<<heads, 1024, 0, stream>>>(a.lost, sizes.value_blocks, sizes.k_len, to.v_scale, to.v_mean);
  check_launch("attention_8bit");
  if (sizes.centroid_atoms > 0) {
    const dim3 centroids(static_cast<unsigned>(heads), static_cast<unsigned>(sizes.centroid_atoms));
    round_centroids<kHeadDim><<<centroids, threads_per_value_atom(kHeadDim), 0, stream>>>(a);
    check_launch("attention_8bit");
  }
  list_pair<<<static_cast<unsigned>(ceil_div<std::int64_t>(pairs, kThreads / 32)), kThreads, 0,
              stream>>>(c, to);
  check_launch("attention_8bit");
  list_work(params, first, to, kWorkRows8, 0, stream);
  return to;
}

}  // namespace

std::size_t sparse_plan_bytes_8bit(const BlockSparseAttentionParams& params, int tile_atoms) {
  return params.q.size(2) == 128 ? plan_bytes<128>(params, tile_atoms)
                                 : plan_bytes<64>(params, tile_atoms);
}

SparsePlan8 plan_sparse_8bit(const BlockSparseAttentionParams& params, int first, int heads,
                             int tile_atoms, Arena& arena, cudaStream_t stream) {
  return params.q.size(2) == 128 ? plan<128>(params, first, heads, tile_atoms, arena, stream)
                                 : plan<64>(params, first, heads, tile_atoms, arena, stream);
}

}  // namespace sparsevid::ops::cuda
