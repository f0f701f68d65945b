// Loading keys, values and queries of block-sparse work into shared memory.
#pragma once

#include "ops/cuda/attention_hopper/sparse_plan.h"
#include "ops/cuda/attention_hopper/tile.h"
#include "ops/cuda/common/tma.h"

namespace sparsevid::ops::cuda {

struct SparseArguments {
  SparsePlan plan;
  const __nv_bfloat16* q;
  __nv_bfloat16* out;
  std::int64_t q_head_stride, q_row_stride, out_head_stride, out_row_stride;
  const int* q_order;
  std::int64_t q_order_stride;
  const std::uint8_t* chosen;
  std::int64_t chosen_head_stride, chosen_row_stride;
  bool tail;
  float scale_log2;
};

inline constexpr int kWorkSlots = 2;

template <class Tile>
struct SparseShared : AttentionShared<Tile> {
  float bias[Tile::kStages][Tile::kKeys];  // of the keys of a tile of rows
  int rows[2][Tile::kKeys];                // of the tile being gathered: for keys, for values
  SparseWork work[kWorkSlots];             // head < 0: no more
  Barrier work_full[kWorkSlots];
  Barrier work_empty[kWorkSlots];
};

template <class Tile>
struct SparseTiles {
  static constexpr int kAtoms = Tile::kKeys / kAtomRows;
  static_assert(kAtoms <= kZeroAtoms);
  static constexpr int kAtomBytes = kAtomRows * Tile::kHeadDim * 2;

  int of_atoms;
  int of_rows;

  __device__ explicit SparseTiles(const SparseWork& work)
      : of_atoms((work.atoms + kAtoms - 1) / kAtoms),
        of_rows((work.rows + Tile::kKeys - 1) / Tile::kKeys) {}
  __device__ int count() const { return of_atoms + of_rows; }
  /// The first tile of atoms takes what does not fill a tile, so that only a first tile is masked.
  __device__ int first_atoms(const SparseWork& work) const {
    return work.atoms - (of_atoms - 1) * kAtoms;
  }
};

/// 32 key clusters, one a lane: a part of the walk over the chosen ones that every loading warp
/// does on its own. The next part is read ahead.
class ClusterWalk {
 public:
  __device__ ClusterWalk(const SparseArguments& a, const SparseWork& work)
      : flags_(a.chosen + work.head * a.chosen_head_stride + work.q_cluster * a.chosen_row_stride),
        places_(a.plan.places + static_cast<std::int64_t>(work.head) * a.plan.k_clusters),
        clusters_(a.plan.k_clusters),
        cluster_(static_cast<int>(threadIdx.x % 32) - 32) {
    read();
  }

  __device__ void advance() {
    cluster_ += 32;
    chosen_ = next_chosen_;
    place_ = next_place_;
    read();
  }
  __device__ int cluster() const { return cluster_; }
  __device__ bool chosen() const { return chosen_; }
  __device__ const ClusterPlace& place() const { return place_; }

 private:
  __device__ void read() {
    const int next = cluster_ + 32;
    next_chosen_ = next < clusters_ && flags_[next] != 0;
    next_place_ = next < clusters_ ? places_[next] : ClusterPlace{0, 0};
  }

  const std::uint8_t* flags_;
  const ClusterPlace* places_;
  int clusters_;
  int cluster_;
  bool chosen_ = false;
  ClusterPlace place_{};
  bool next_chosen_;
  ClusterPlace next_place_;
};

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

/// One warp: all keys of a piece of work, or all values.
template <class Tile, bool kValues>
class SparseLoader {
 public:
  __device__ SparseLoader(const SparseArguments& a, SparseShared<Tile>& shared)
      : a_(a), shared_(shared) {}

  __device__ void load(const SparseWork& work) {
    const SparseTiles<Tile> tiles(work);
    source_ = (kValues ? a_.plan.v : a_.plan.k) +
              static_cast<std::int64_t>(work.head) * a_.plan.head_atoms * kAtomBytes;
    if (tiles.of_atoms > 0) load_atoms(work, tiles);
    if (tiles.of_rows > 0) load_rows(work, tiles);
  }

 private:
  static constexpr int kAtomBytes = SparseTiles<Tile>::kAtomBytes;

  __device__ unsigned char* tile() const { return (kValues ? shared_.v : shared_.k)[turn_.stage]; }
  __device__ Barrier* full() const {
    return &(kValues ? shared_.v_full : shared_.k_full)[turn_.stage];
  }
  __device__ void wait_empty() const {
    barrier_wait(&(kValues ? shared_.v_empty : shared_.k_empty)[turn_.stage], turn_.parity ^ 1);
  }

  /// Whole atoms of the chosen clusters, a tile after the other. A lane copies the part of its
  /// cluster that falls into the tile.
  __device__ void load_atoms(const SparseWork& work, const SparseTiles<Tile>& tiles) {
    constexpr int kAtoms = SparseTiles<Tile>::kAtoms;
    const int lane = threadIdx.x % 32;
    ClusterWalk walk(a_, work);
    int begin = 0;  // of the lane's cluster in the list of all atoms
    int atoms = 0;
    int listed = 0;  // atoms of the clusters walked over
    int tile_end = 0;
    for (int i = 0; i < tiles.of_atoms; ++i) {
      const int count = i == 0 ? tiles.first_atoms(work) : kAtoms;
      const int tile_begin = tile_end;
      tile_end += count;
      std::uint32_t bytes = 0;
      wait_empty();
      while (true) {
        const int from = max(begin, tile_begin);
        const int part = min(begin + atoms, tile_end) - from;
        if (part > 0) {
          const std::int64_t atom = walk.place().atom + (from - begin);
          copy_bytes(tile() + (from - tile_begin) * kAtomBytes, source_ + atom * kAtomBytes,
                     part * kAtomBytes, full());
          bytes += part * kAtomBytes;
        }
        if (listed >= tile_end) break;
        walk.advance();
        atoms = walk.chosen() ? walk.place().rows / kAtomRows : 0;
        int total;
        begin = listed + sum_of_lanes_before(atoms, total);
        listed += total;
      }
      // Weights of the rest of the tile are zero, but zero times anything must be zero.
      if (kValues && count < kAtoms && lane == 0) {
        const std::int64_t zeros = static_cast<std::int64_t>(a_.plan.heads) * a_.plan.head_atoms;
        copy_bytes(tile() + count * kAtomBytes, a_.plan.v + zeros * kAtomBytes,
                   (kAtoms - count) * kAtomBytes, full());
        bytes += (kAtoms - count) * kAtomBytes;
      }
      finish_atoms(bytes);
      turn_.advance();
    }
  }

  /// Every barrier counts 32 lanes, that of keys the bias too.
  __device__ void finish_atoms(std::uint32_t bytes) const {
    barrier_arrive_expect(full(), bytes);
    if (!kValues && threadIdx.x % 32 == 0) barrier_arrive(full());
  }

  /// The other rows of the chosen clusters, and centroids.
  __device__ void load_rows(const SparseWork& work, const SparseTiles<Tile>& tiles) {
    int* const list = shared_.rows[kValues];
    const float* const centroid_bias =
        a_.plan.centroid_bias + static_cast<std::int64_t>(work.head) * a_.plan.k_clusters;
    const int lane = threadIdx.x % 32;
    ClusterWalk walk(a_, work);
    int begin = 0;
    int rows = 0;
    int first_row = 0;
    int listed = 0;
    float bias = 0;
    for (int i = 0; i < tiles.of_rows; ++i) {
      const int tile_begin = i * Tile::kKeys;
      const int tile_end = min(tile_begin + Tile::kKeys, work.rows);
      wait_empty();
      while (true) {
        const int from = max(begin, tile_begin);
        const int end = min(begin + rows, tile_end);
        for (int at = from; at < end; ++at) {
          list[at - tile_begin] = first_row + (at - begin);
          if constexpr (!kValues) shared_.bias[turn_.stage][at - tile_begin] = bias;
        }
        if (listed >= tile_end) break;
        walk.advance();
        const int size = walk.place().rows;
        if (walk.chosen()) {
          rows = size % kAtomRows;
          first_row = walk.place().atom * kAtomRows + size - rows;
          bias = 0;
        } else {
          rows = a_.tail && size > 0 ? 1 : 0;
          first_row = a_.plan.centroid_atom * kAtomRows + walk.cluster();
          bias = rows != 0 ? centroid_bias[walk.cluster()] : 0;
        }
        int total;
        begin = listed + sum_of_lanes_before(rows, total);
        listed += total;
      }
      for (int at = tile_end - tile_begin + lane; at < Tile::kKeys; at += 32) {
        list[at] = -1;
        if constexpr (!kValues) shared_.bias[turn_.stage][at] = -INFINITY;
      }
      __syncwarp();
      if (!kValues && lane == 0) barrier_arrive(full());
      gather(list);
      barrier_arrive_after_copies(full());
      __syncwarp();
      turn_.advance();
    }
  }

  /// The listed rows, from atoms to atoms; a row of -1 becomes zeros.
  __device__ void gather(const int* list) const {
    constexpr int kChunks = Tile::kHeadDim / 8;  // of 16 bytes
    constexpr int kStep = 32 / kChunks;          // rows at a time
    const int lane = threadIdx.x % 32;
    const int chunk = lane % kChunks;
    const std::uint32_t to = shared_address(tile());
#pragma unroll 4
    for (int at = lane / kChunks; at < Tile::kKeys; at += kStep) {
      const int row = list[at];
      copy_16_bytes(to + chunk_place(at, chunk), source_ + chunk_place(max(row, 0), chunk),
                    row >= 0);
    }
  }
  /// Of 16 bytes of a row; a head has less than 4 GiB of keys.
  __device__ static std::uint32_t chunk_place(std::uint32_t row, std::uint32_t chunk) {
    const std::uint32_t in_atom = row % kAtomRows;
    return row / kAtomRows * kAtomBytes + chunk / 8 * 1024 + in_atom * 128 +
           ((chunk % 8) ^ in_atom) * 16;
  }

  const SparseArguments& a_;
  SparseShared<Tile>& shared_;
  const unsigned char* source_ = nullptr;
  PipelineTurn<Tile::kStages> turn_;
};

/// One warp: the queries of a piece of work, rows beyond its own as zeros.
template <class Tile>
__device__ void load_queries(const SparseArguments& a, SparseShared<Tile>& shared,
                             const SparseWork& work) {
  constexpr int kChunks = Tile::kHeadDim / 8;
  constexpr int kStep = 32 / kChunks;
  const int lane = threadIdx.x % 32;
  const int chunk = lane % kChunks;
  const int* const tokens = a.q_order + work.head * a.q_order_stride + work.q_begin;
  const __nv_bfloat16* const q = a.q + work.head * a.q_head_stride + 8 * chunk;
  const std::uint32_t to = shared_address(shared.q) + chunk / 8 * 64 * 128;
#pragma unroll 4
  for (int row = lane / kChunks; row < Tile::kRows; row += kStep) {
    const bool inside = row < work.q_rows;
    const std::int64_t token = inside ? tokens[row] : 0;
    copy_16_bytes(to + row / 64 * Tile::kWarpgroupQueryBytes + row % 64 * 128 +
                      ((chunk % 8) ^ (row % 8)) * 16,
                  q + token * a.q_row_stride, inside);
  }
  barrier_arrive_after_copies(&shared.q_full);
}

/// The warp that hands out work and loads the queries.
template <class Tile>
__device__ void hand_out_work(const SparseArguments& a, SparseShared<Tile>& shared) {
  const int lane = threadIdx.x % 32;
  const int count = *a.plan.work_count;
  PipelineTurn<kWorkSlots> turn;
  PipelineTurn<1> queries;
  while (true) {
    barrier_wait(&shared.work_empty[turn.stage], turn.parity ^ 1);
    SparseWork& work = shared.work[turn.stage];
    if (lane == 0) {
      const int index = atomicAdd(a.plan.next_work, 1);
      if (index < count)
        work = a.plan.work[index];
      else
        work.head = -1;
      barrier_arrive(&shared.work_full[turn.stage]);
    }
    __syncwarp();
    if (work.head < 0) break;
    barrier_wait(&shared.q_empty, queries.parity ^ 1);
    load_queries(a, shared, work);
    queries.advance();
    turn.advance();
  }
}

/// Calls use(work) for every piece of work handed to this block, in order.
template <class Tile, class Use>
__device__ void for_each_work(SparseShared<Tile>& shared, Use use) {
  PipelineTurn<kWorkSlots> turn;
  while (true) {
    barrier_wait(&shared.work_full[turn.stage], turn.parity);
    const SparseWork work = shared.work[turn.stage];
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(&shared.work_empty[turn.stage]);
    if (work.head < 0) break;
    use(work);
    turn.advance();
  }
}

}  // namespace sparsevid::ops::cuda
