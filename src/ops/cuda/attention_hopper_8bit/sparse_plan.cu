// The problem: 2.3 GB of queries, keys and values (Wan 14B: 40 heads x 75,600 x 128) to 1.2 GB in
//   cluster order, keys and values read before for their means, keys once more for their largest
//   magnitude after the transform; everything else here is lists.
// Plan: head_statistics.h; largest_keys, a block for 512 tokens; round_to_clusters, whose blocks
//   take 64 queries or some atoms each, which find their cluster by bisection; list_pair, a warp
//   for a pair of head and query cluster.
// The atoms of a cluster begin at its first place / 16 + its number, which leaves room for all of
//   them without adding up anything.
// Bound: memory.
#include "ops/cuda/attention_hopper_8bit/sparse_plan.h"

#include "ops/cuda/attention_hopper_8bit/head_statistics.h"

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
  const int* q_offsets;
  std::int64_t q_offsets_stride;
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

/// Blocks (head, piece of tokens).
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads)
    largest_keys(HeadRows k, const float* k_mean, float* k_largest) {
  const int head = blockIdx.x;
  const int end = min(k.rows, static_cast<int>(blockIdx.y + 1) * kPieceRows);
  float largest = 0;
  for (int first = blockIdx.y * kPieceRows; first < end; first += kThreads / 4) {
    RowQuarter<kHeadDim> x;
    load_key<kHeadDim>(k.row(head, min(first + static_cast<int>(threadIdx.x) / 4, end - 1)),
                       k_mean + head * kHeadDim, x);
    largest = fmaxf(largest, largest_magnitude(x));
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, distance));
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
  const float* k_mean;
  float* lost;  // [heads, value_blocks, head_dim]
  int q_blocks;
  int key_blocks;
  int value_blocks;
};

/// The keys of one atom.
struct AtomKeys {
  const int* tokens;  // of the first
  int count;          // at most 16; 0: the atom is not used
};

__device__ inline AtomKeys keys_of_atom(const RoundClustersArguments& a, int head, int atom) {
  const int* const offsets = a.clusters.k_offsets + head * a.clusters.k_offsets_stride;
  int low = 0;
  int high = a.plan.k_clusters;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (first_atom(offsets[middle], middle) <= atom)
      low = middle;
    else
      high = middle;
  }
  const int begin = offsets[low] + (atom - first_atom(offsets[low], low)) * kAtomKeys;
  return {a.clusters.k_order + head * a.clusters.k_order_stride + begin,
          max(0, min(kAtomKeys, offsets[low + 1] - begin))};
}

template <int kHeadDim>
__device__ void round_atom_of_keys(const RoundClustersArguments& a, int head, int atom) {
  if (atom >= a.plan.head_atoms) return;  // the same for a warp
  const int row = static_cast<int>(threadIdx.x) % kThreadsPerKeyAtom / 4;
  const float* const mean = a.k_mean + head * kHeadDim;
  RowQuarter<kHeadDim> x = {};
  if (atom < a.plan.centroid_atom) {
    const AtomKeys keys = keys_of_atom(a, head, atom);
    if (keys.count == 0) return;
    load_key<kHeadDim>(a.k.row(head, keys.tokens[min(row, keys.count - 1)]), mean, x);
  } else {
    const int cluster = min((atom - a.plan.centroid_atom) * kAtomKeys + row, a.plan.k_clusters - 1);
    load_key<kHeadDim>(a.clusters.k_mean + head * a.clusters.k_mean_head_stride +
                           cluster * a.clusters.k_mean_row_stride,
                       mean, x);
  }
  store_key<kHeadDim>(x, inverse_scale(a.plan.k_largest[head]),
                      a.plan.k + (static_cast<std::int64_t>(head) * a.plan.head_atoms + atom) *
                                     key_atom_bytes(kHeadDim),
                      row);
}

/// Returns what rounding took, of tokens.
template <int kHeadDim>
__device__ float2 round_atom_of_values(const RoundClustersArguments& a, int head, int atom) {
  if (atom >= a.plan.head_atoms) return make_float2(0, 0);
  const ValueScales scales{a.plan.v_mean + head * kHeadDim, a.plan.v_scale + head * kHeadDim};
  unsigned char* const image =
      a.plan.v +
      (static_cast<std::int64_t>(head) * a.plan.head_atoms + atom) * value_atom_bytes(kHeadDim);
  if (atom < a.plan.centroid_atom) {
    const AtomKeys keys = keys_of_atom(a, head, atom);
    if (keys.count == 0) return make_float2(0, 0);
    return round_values<kHeadDim>(
        [&](int i, int pair) {
          const auto* row = reinterpret_cast<const __nv_bfloat162*>(
              a.v.row(head, keys.tokens[min(i, keys.count - 1)]));
          return __bfloat1622float2(row[pair]);
        },
        [&](int i) { return i < keys.count; }, scales, atom, image);
  }
  const int* const offsets = a.clusters.k_offsets + head * a.clusters.k_offsets_stride;
  const int first = (atom - a.plan.centroid_atom) * kAtomKeys;
  round_values<kHeadDim>(
      [&](int i, int pair) {
        const auto* row = reinterpret_cast<const float2*>(
            a.clusters.v_mean + head * a.clusters.v_mean_head_stride +
            min(first + i, a.plan.k_clusters - 1) * a.clusters.v_mean_row_stride);
        return row[pair];
      },
      [&](int i) {
        const int cluster = first + i;
        return cluster < a.plan.k_clusters && offsets[cluster + 1] > offsets[cluster];
      },
      scales, atom, image);
  return make_float2(0, 0);
}

/// Blocks (head, some queries, then some atoms of keys, then of values, then one of zeros).
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads)
    round_to_clusters(const __grid_constant__ RoundClustersArguments a) {
  const int head = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  int block = blockIdx.y;
  if (block < a.q_blocks) {
    const int place = block * (kThreads / 4) + thread / 4;
    const bool exists = place < a.q.rows;
    const int* const order = a.clusters.q_order + head * a.clusters.q_order_stride;
    const std::int64_t at = static_cast<std::int64_t>(head) * a.q.rows + place;
    round_query<kHeadDim>(exists ? a.q.row(head, order[place]) : nullptr, exists,
                          a.plan.q + at * kHeadDim, a.plan.q_scale + at);
    return;
  }
  block -= a.q_blocks;
  if (block < a.key_blocks) {
    constexpr int kAtoms = kThreads / kThreadsPerKeyAtom;
    round_atom_of_keys<kHeadDim>(a, head, block * kAtoms + thread / kThreadsPerKeyAtom);
    return;
  }
  block -= a.key_blocks;
  constexpr int kAtThreads = kThreadsPerValueAtom<kHeadDim>;
  constexpr int kAtoms = kThreads / kAtThreads;
  const float2 lost = round_atom_of_values<kHeadDim>(a, head, block * kAtoms + thread / kAtThreads);
  store_lost<kHeadDim>(
      lost, a.lost + (static_cast<std::int64_t>(head) * a.value_blocks + block) * kHeadDim);
}

/// The sum of `value` over the lanes before this one, and over all in `total`.
__device__ inline int sum_of_lanes_before(int value, int& total) {
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

/// A warp for a pair: its list of atoms, its bias of centroids, its pieces of work.
__global__ void __launch_bounds__(kThreads)
    list_pair(const __grid_constant__ Clusters8 clusters, const __grid_constant__ SparsePlan8 plan,
              int q_clusters) {
  const int pair = static_cast<int>(blockIdx.x * (kThreads / 32) + threadIdx.x / 32);
  if (pair >= plan.heads * q_clusters) return;
  const int lane = threadIdx.x % 32;
  const int head = pair / q_clusters;
  const int q_cluster = pair % q_clusters;
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
  if (lane != 0) return;
  const int* const q_offset = clusters.q_offsets + head * clusters.q_offsets_stride + q_cluster;
  const int rows = q_offset[1] - q_offset[0];
  const int units = ceil_div(rows, kWorkRows8 / 2);
  SparseWork8* const work = plan.work + static_cast<std::int64_t>(head) * plan.head_work;
  const int at = units > 1 ? atomicAdd(&plan.counts[head].of_two, units / 2) : 0;
  for (int i = 0; i < units / 2; ++i)
    work[at + i] = {head, pair, q_offset[0] + i * kWorkRows8,
                    min(kWorkRows8, rows - i * kWorkRows8), listed};
  if (units % 2 == 1) {
    const int from = units / 2 * kWorkRows8;
    work[plan.head_work - 1 - atomicAdd(&plan.counts[head].of_one, 1)] = {
        head, pair, q_offset[0] + from, rows - from, listed};
  }
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
  sizes.value_blocks = ceil_div(sizes.head_atoms(), kThreads / kThreadsPerValueAtom<kHeadDim>);
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
         bytes(sizes.q_clusters, pair) + bytes(sizes.head_work, sizeof(SparseWork8)) +
         bytes(sizes.value_blocks, kHeadDim * sizeof(float)) +
         statistics_bytes<kHeadDim>(sizes.k_len);
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
  to.heads = heads;
  to.q_len = sizes.q_len;
  to.k_clusters = sizes.k_clusters;
  to.head_atoms = sizes.head_atoms();
  to.centroid_atom = sizes.token_atoms;
  to.centroid_atoms = sizes.centroid_atoms;
  to.pair_atoms = sizes.token_atoms;
  to.head_work = sizes.head_work;
  to.q = arena.array<unsigned char>(times(sizes.q_len) * kHeadDim);
  to.k = arena.array<unsigned char>(times(sizes.head_atoms()) * key_atom_bytes(kHeadDim));
  to.v = arena.array<unsigned char>(value_bytes + zeros_bytes);
  to.q_scale = arena.array<float>(times(sizes.q_len));
  to.v_scale = statistics.v_scale;
  to.v_mean = statistics.v_mean;
  to.bias = arena.array<float>(pairs * sizes.centroid_atoms * kAtomKeys);
  to.atoms = arena.array<int>(pairs * to.pair_atoms);
  to.work = arena.array<SparseWork8>(times(sizes.head_work));
  // Cleared together.
  const auto cleared = arena.array<int>(times(3) + 1);
  to.k_largest = reinterpret_cast<float*>(cleared);
  to.next_work = cleared + heads;
  to.counts = reinterpret_cast<WorkCounts8*>(to.next_work + 1);
  check(cudaMemsetAsync(cleared, 0, (times(3) + 1) * sizeof(int), stream), "attention_8bit");
  check(cudaMemsetAsync(to.v + value_bytes, 0, zeros_bytes, stream), "attention_8bit");

  const dim3 pieces(static_cast<unsigned>(heads),
                    static_cast<unsigned>(statistics_pieces(sizes.k_len)));
  largest_keys<kHeadDim><<<pieces, kThreads, 0, stream>>>(k, statistics.k_mean, to.k_largest);
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
  table(params.q_offsets, c.q_offsets, c.q_offsets_stride);
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
  a.k_mean = statistics.k_mean;
  a.q_blocks = ceil_div(sizes.q_len, kThreads / 4);
  a.key_blocks = ceil_div(sizes.head_atoms(), kThreads / kThreadsPerKeyAtom);
  a.value_blocks = sizes.value_blocks;
  a.lost = arena.array<float>(times(sizes.value_blocks) * kHeadDim);
  a.plan = to;
  const dim3 grid(static_cast<unsigned>(heads),
                  static_cast<unsigned>(a.q_blocks + a.key_blocks + a.value_blocks));
  round_to_clusters<kHeadDim><<<grid, kThreads, 0, stream>>>(a);
  check_launch("attention_8bit");
  correct_means<kHeadDim>
      <<<heads, 1024, 0, stream>>>(a.lost, sizes.value_blocks, sizes.k_len, to.v_scale, to.v_mean);
  check_launch("attention_8bit");
  list_pair<<<static_cast<unsigned>(ceil_div<std::int64_t>(pairs, kThreads / 32)), kThreads, 0,
              stream>>>(c, to, sizes.q_clusters);
  check_launch("attention_8bit");
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
