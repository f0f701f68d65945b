// Block-sparse attention: a tile of queries of one cluster, and the keys of the clusters chosen for
// it, gathered by k_order as they come, 64 at a time whatever the clusters' sizes; then the means
// of the others.
//
// A block lists its chosen clusters in shared memory once. The g-th key it sees lies in the entry
// that contains g: each of 64 threads walks along the list as g grows by 64, and fetches the token
// at its place by cp.async, some tiles before the rows themselves.
#include <cmath>

#include "ops/cuda/attention_mma/attention_mma.h"
#include "ops/cuda/attention_mma/cluster_plan.h"
#include "ops/cuda/attention_mma/head_rows.h"
#include "ops/cuda/attention_mma/launch_tiles.h"

namespace sparsevid::ops::cuda {
namespace {

struct ClusterProblem {
  HeadTileRows q, k, v, out;
  int head_dim;
  float scale;
  const std::int32_t* q_order;
  const std::int32_t* k_order;
  const std::int32_t* k_offsets;
  const std::uint8_t* chosen;
  std::int64_t q_order_stride, k_order_stride, k_offsets_stride, chosen_strides[2];
  int k_clusters;
  ClusterPlan plan;
};

/// Keys [previous end, end) of what a block sees are at places [that + shift...).
struct ListEntry {
  int end;
  int shift;
};

/// What the list and the biases take.
std::size_t list_bytes(std::int64_t k_clusters, bool has_tail, int keys) {
  const std::int64_t padded = (k_clusters + keys - 1) / keys * keys;
  return static_cast<std::size_t>(k_clusters + 1) * sizeof(ListEntry) +
         static_cast<std::size_t>(keys + (has_tail ? padded : 0)) * sizeof(float);
}

template <class Tiles>
class ClusterSource {
 public:
  using Problem = ClusterProblem;
  struct Shared {
    alignas(16) int tokens[Tiles::kSlots][Tiles::kKeys];
    int2 warp_sums[kAttentionWarps];  ///< clusters, keys
    int keys;                         ///< here and not in a register: all are taken
  };
  static constexpr bool kGathers = true;

  __device__ ClusterSource(const Problem& problem, Shared& shared, unsigned char* memory)
      : p_(problem),
        shared_(shared),
        list_(reinterpret_cast<ListEntry*>(memory)),
        biases_(reinterpret_cast<float*>(list_ + p_.k_clusters + 1)) {}

  __device__ bool begin() {
    tile_ = p_.plan.tiles[head() * p_.plan.tiles_per_head + blockIdx.x];
    if (tile_.rows == 0) return false;
    list_clusters();
    return true;
  }
  __device__ TileRows queries() const { return p_.q.head(head()); }
  __device__ int query_token(int row) const {
    return row < tile_.rows ? p_.q_order[head() * p_.q_order_stride + tile_.begin + row] : -1;
  }
  __device__ int tiles() const {
    return key_tiles() +
           (p_.plan.k_mean == nullptr ? 0 : (p_.k_clusters + Tiles::kKeys - 1) / Tiles::kKeys);
  }
  __device__ void prepare(int tile) {
    if (threadIdx.x >= Tiles::kKeys) return;
    const int slot = threadIdx.x;
    int* token =
        &shared_.tokens[tile % Tiles::kSlots]
                       [RowLoader<Tiles::kHeadDim>::template list_place<Tiles::kKeys>(slot)];
    const int key = tile * Tiles::kKeys + slot;
    if (key < shared_.keys) {
      while (key >= list_[entry_].end) ++entry_;
      cp_async_4(shared_address(token),
                 p_.k_order + head() * p_.k_order_stride + key + list_[entry_].shift, true);
    } else {
      const int cluster = (tile - key_tiles()) * Tiles::kKeys + slot;
      *token = cluster >= 0 && cluster < p_.k_clusters ? cluster : -1;
    }
  }
  template <class Loader>
  __device__ void load(const Loader& loader, unsigned to, int tile, bool values) const {
    const bool is_mean = tile >= key_tiles();
    loader.template load_list<Tiles::kKeys>(to,
                                            is_mean
                                                ? means(values ? p_.plan.v_mean : p_.plan.k_mean)
                                                : (values ? p_.v : p_.k).head(head()),
                                            shared_.tokens[tile % Tiles::kSlots]);
  }
  __device__ bool adjusts(int tile) const { return (tile + 1) * Tiles::kKeys > shared_.keys; }
  __device__ void adjust(int tile, int, int column, float factor, float (&logits)[4]) const {
    // Of the tiles of keys, only the last one can come here.
    const float* biases = biases_ + max(tile - key_tiles() + 1, 0) * Tiles::kKeys + column;
#pragma unroll
    for (int c = 0; c < 4; ++c) logits[c] = fmaf(logits[c], factor, biases[c % 2]);
  }
  __device__ void finish(const TileMath<Tiles>& math, unsigned char* ring,
                         const int* query_tokens) const {
    store_outputs(
        math, ring, [&](int row) { return query_tokens[row]; },
        p_.out.data + head() * p_.out.head_stride, p_.out.stride, p_.head_dim);
  }

 private:
  __device__ std::int64_t head() const { return blockIdx.y; }
  __device__ int key_tiles() const { return (shared_.keys + Tiles::kKeys - 1) / Tiles::kKeys; }
  __device__ TileRows means(const device_bf16* means) const {
    return {means + head() * p_.k_clusters * p_.head_dim, p_.head_dim * 2};
  }

  /// The chosen clusters that are not empty, in order, and the biases of the means of the others.
  __device__ void list_clusters() {
    const std::uint8_t* chosen =
        p_.chosen + head() * p_.chosen_strides[0] + tile_.cluster * p_.chosen_strides[1];
    const std::int32_t* offsets = p_.k_offsets + head() * p_.k_offsets_stride;
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    const int padded = (p_.k_clusters + Tiles::kKeys - 1) / Tiles::kKeys * Tiles::kKeys;
    int2 before{0, 0};
    for (int first = 0; first < padded; first += kAttentionThreads) {
      const int c = first + threadIdx.x;
      const int begin = c < p_.k_clusters ? offsets[c] : 0;
      const int size = c < p_.k_clusters ? offsets[c + 1] - begin : 0;
      const bool listed = size > 0 && chosen[c] != 0;
      if (p_.plan.k_mean != nullptr && c < padded)
        biases_[Tiles::kKeys + c] = size == 0 || listed ? kMasked : log2f(static_cast<float>(size));

      const unsigned ballot = __ballot_sync(0xffffffffU, listed);
      int sum = listed ? size : 0;
#pragma unroll
      for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(0xffffffffU, sum, step);
        if (lane >= step) sum += other;
      }
      if (lane == 31) shared_.warp_sums[warp] = {__popc(ballot), sum};
      __syncthreads();
      int2 place = before;
#pragma unroll
      for (int w = 0; w < kAttentionWarps; ++w) {
        const int2 other = shared_.warp_sums[w];
        before.x += other.x;
        before.y += other.y;
        if (w < warp) {
          place.x += other.x;
          place.y += other.y;
        }
      }
      if (listed) {
        const int end = place.y + sum;
        list_[place.x + __popc(ballot & ((1U << lane) - 1))] = {end, begin - (end - size)};
      }
      __syncthreads();
    }
    if (threadIdx.x == 0) shared_.keys = before.y;
    if (threadIdx.x < Tiles::kKeys)
      biases_[threadIdx.x] =
          static_cast<int>(threadIdx.x) < before.y % Tiles::kKeys ? 0.F : kMasked;
    __syncthreads();
  }

  const Problem& p_;
  Shared& shared_;
  ListEntry* list_;
  float* biases_;  ///< of the last tile of keys, if it is not full, and of the means
  ClusterTile tile_{};
  int entry_ = 0;  // of this thread's next key
};

template <class Tiles>
void attend_clusters(const BlockSparseAttentionParams& params, Context& context) {
  const Arena::Scope scope(context.arena);
  const ClusterPlan plan = plan_clusters(params, Tiles::kRows, Tiles::kWarpRows, context);
  const ClusterProblem problem{head_tile_rows(params.q),
                               head_tile_rows(params.k),
                               head_tile_rows(params.v),
                               head_tile_rows(params.out),
                               static_cast<int>(params.q.size(2)),
                               static_cast<float>(params.scale),
                               device_pointer<const std::int32_t>(params.q_order),
                               device_pointer<const std::int32_t>(params.k_order),
                               device_pointer<const std::int32_t>(params.k_offsets),
                               device_pointer<const std::uint8_t>(params.chosen),
                               params.q_order.stride(0),
                               params.k_order.stride(0),
                               params.k_offsets.stride(0),
                               {params.chosen.stride(0), params.chosen.stride(1)},
                               static_cast<int>(params.chosen.size(2)),
                               plan};
  const dim3 grid(static_cast<unsigned>(plan.tiles_per_head),
                  static_cast<unsigned>(params.q.size(0)));
  launch_tiles<Tiles, ClusterSource<Tiles>>(
      "block_sparse_attention", problem, grid,
      list_bytes(problem.k_clusters, plan.k_mean != nullptr, Tiles::kKeys), stream_of(context));
}

}  // namespace

std::string block_sparse_attention_mma_refusal(const BlockSparseAttentionParams& params,
                                               const Context&) {
  std::string refusal =
      mma_refusal(params.q, params.k, params.v, params.out, params.scale, kWidestMmaHead);
  if (!refusal.empty()) return refusal;
  with_tiles(params.q.size(2), [&]<class Tiles>(Tiles) {
    // The static part is small; 2 KB are more than it takes.
    const std::size_t bytes =
        Tiles::kBytes + 2048 +
        list_bytes(params.chosen.size(2), params.k_mean.defined(), Tiles::kKeys);
    if (bytes > static_cast<std::size_t>(device_facts().shared_memory_per_block))
      refusal = fmt::format("{} key clusters do not fit into shared memory", params.chosen.size(2));
  });
  return refusal;
}

void block_sparse_attention_mma(const BlockSparseAttentionParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  with_tiles(params.q.size(2),
             [&]<class Tiles>(Tiles) { attend_clusters<Tiles>(params, context); });
}

}  // namespace sparsevid::ops::cuda
