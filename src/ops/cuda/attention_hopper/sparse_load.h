// Loading keys, values and queries of block-sparse work into shared memory.
#pragma once

#include <bit>

#include "ops/cuda/attention_hopper/pack_keys.h"
#include "ops/cuda/attention_hopper/query_load.h"
#include "ops/cuda/attention_hopper/sparse_plan.h"
#include "ops/cuda/attention_hopper/work_slots.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/common/tma.h"

namespace sparsevid::ops::cuda {

struct SparseArguments {
  SparsePlan plan;
  HeadPointers<const __nv_bfloat16> q;
  HeadPointers<__nv_bfloat16> out;
  const int* q_order;
  std::int64_t q_order_stride;
  float scale_log2;
};

template <class Tile>
struct SparseShared : QueryShared<Tile, Tile::kWarpgroups> {
  float bias[Tile::kStages][Tile::kKeys];  // of the keys of a tile of rows
  // Of the tile being gathered: for keys, for values.
  alignas(16) std::uint32_t rows[2][Tile::kKeys];
  WorkSlots<SparseWork> work;
};

template <class Tile>
struct SparseTiles {
  static constexpr int kAtoms = Tile::kKeys / kAtomRows;
  static_assert(kAtoms <= kZeroAtoms);
  static constexpr int kAtomBytes = kAtomRows * Tile::kHeadDim * 2;

  int of_atoms;
  int of_rows;
  int distance;  // of the tiles of rows: a power of two

  __device__ explicit SparseTiles(const SparseWork& work)
      : of_atoms((work.keys.atoms + kAtoms - 1) / kAtoms),
        of_rows((work.keys.rows + Tile::kKeys - 1) / Tile::kKeys),
        distance(of_rows == 0
                     ? 1
                     : static_cast<int>(std::bit_floor(static_cast<unsigned>(count() / of_rows)))) {
  }
  __device__ int count() const { return of_atoms + of_rows; }
  /// Whether the tile after which `left` tiles come is one of rows. These take long to gather, so
  /// they come as far from each other as they can, the last one at the end; the first tile is one
  /// of atoms if there is any.
  __device__ bool are_rows(int left) const {
    return left < of_rows * distance && (left & (distance - 1)) == 0;
  }
  /// The first tile of atoms takes what does not fill a tile, so that only a first tile is masked.
  __device__ int first_atoms(const SparseWork& work) const {
    return work.keys.atoms - (of_atoms - 1) * kAtoms;
  }
};

/// One warp: all keys of a piece of work, or all values.
template <class Tile, bool kValues>
class SparseLoader {
 public:
  __device__ SparseLoader(const SparseArguments& a, SparseShared<Tile>& shared)
      : a_(a), shared_(shared) {}

  __device__ void load(const SparseWork& work) {
    const SparseTiles<Tile> tiles(work);
    const unsigned char* const source =
        (kValues ? a_.plan.v : a_.plan.k) +
        static_cast<std::int64_t>(place(work)) * a_.plan.head_atoms * kAtomBytes;
    // So that the compiler does not add up its parts again for every row that is copied.
    source_ = reinterpret_cast<const unsigned char*>(
        __shfl_sync(~0u, reinterpret_cast<std::uintptr_t>(source), 0));
    if (work.head >= a_.plan.packed_heads) {
      wait_for_count(a_.plan.packed + work.head, kAllPacked);
      fence_async_proxy_global();
    }
    begin_atoms(work);
    begin_rows(work);
    int atoms = tiles.first_atoms(work);
#pragma unroll 1
    for (int left = tiles.count() - 1; left >= 0; --left) {
      if (tiles.are_rows(left)) {
        load_rows(work);
      } else {
        load_atoms(work, atoms);
        atoms = kAtoms;
      }
      turn_.advance();
    }
  }

 private:
  static constexpr int kAtoms = SparseTiles<Tile>::kAtoms;
  static constexpr int kAtomBytes = SparseTiles<Tile>::kAtomBytes;
  static constexpr int kLists = (Tile::kKeys + 31) / 32;  // rows of a tile a lane lists

  /// Of the head of `work` among those held.
  __device__ int place(const SparseWork& work) const { return work.head % a_.plan.held_heads; }
  __device__ unsigned char* tile() const { return (kValues ? shared_.v : shared_.k)[turn_.stage]; }
  __device__ Barrier* full() const {
    return &(kValues ? shared_.v_full : shared_.k_full)[turn_.stage];
  }
  __device__ void wait_empty() const {
    barrier_wait(&(kValues ? shared_.v_empty : shared_.k_empty)[turn_.stage], turn_.parity ^ 1);
  }

  __device__ void begin_atoms(const SparseWork& work) {
    run_at_ = threadIdx.x % 32;
    run_ = {0, 0};
    run_begin_ = 0;
    atoms_read_ = 0;
    atoms_loaded_ = 0;
    read_run(work);
  }
  __device__ void read_run(const SparseWork& work) {
    const AtomRun* const runs =
        a_.plan.runs + static_cast<std::int64_t>(work.pair) * a_.plan.k_clusters;
    next_run_ = run_at_ < work.keys.runs ? runs[run_at_] : AtomRun{0, 0};
  }

  /// A tile of the next `count` atoms: a lane has a run and copies what of it falls into the tile.
  __device__ void load_atoms(const SparseWork& work, int count) {
    const int lane = threadIdx.x % 32;
    const int tile_begin = atoms_loaded_;
    atoms_loaded_ += count;
    std::uint32_t bytes = 0;
    wait_empty();
    while (true) {
      const int from = max(run_begin_, tile_begin);
      const int part = min(run_begin_ + run_.atoms, atoms_loaded_) - from;
      if (part > 0) {
        copy_bytes(
            tile() + (from - tile_begin) * kAtomBytes,
            source_ + static_cast<std::int64_t>(run_.atom + (from - run_begin_)) * kAtomBytes,
            part * kAtomBytes, full(), keep_);
        bytes += part * kAtomBytes;
      }
      if (atoms_read_ >= atoms_loaded_) break;
      run_ = next_run_;
      run_at_ += 32;
      read_run(work);
      int total;
      run_begin_ = atoms_read_ + sum_of_lanes_before(run_.atoms, total);
      atoms_read_ += total;
    }
    // Weights of the rest of the tile are zero, but zero times anything must be zero.
    if (kValues && count < kAtoms && lane == 0) {
      const std::int64_t zeros = static_cast<std::int64_t>(a_.plan.held_heads) * a_.plan.head_atoms;
      copy_bytes(tile() + count * kAtomBytes, a_.plan.v + zeros * kAtomBytes,
                 (kAtoms - count) * kAtomBytes, full(), keep_);
      bytes += (kAtoms - count) * kAtomBytes;
    }
    // Every barrier counts 32 lanes, that of keys the bias too.
    barrier_arrive_expect(full(), bytes);
    if (!kValues && lane == 0) barrier_arrive(full());
  }

  __device__ int row_of_zeros(const SparseWork& work) const {
    return (a_.plan.held_heads - place(work)) * a_.plan.head_atoms * kAtomRows;
  }
  __device__ void begin_rows(const SparseWork& work) {
    row_at_ = threadIdx.x % 32;
    read_rows(work);
  }
  /// Of the next tile.
  __device__ void read_rows(const SparseWork& work) {
    const int* const rows = a_.plan.rows + static_cast<std::int64_t>(work.pair) * a_.plan.pair_rows;
#pragma unroll
    for (int j = 0; j < kLists; ++j)
      row_[j] = row_at_ + 32 * j < work.keys.rows ? rows[row_at_ + 32 * j] : row_of_zeros(work);
    row_at_ += Tile::kKeys;
  }
  __device__ void write_bias(const SparseWork& work) const {
    const int lane = threadIdx.x % 32;
    const float* const centroid_bias =
        a_.plan.centroid_bias + static_cast<std::int64_t>(work.head) * a_.plan.k_clusters;
    const int first_centroid = a_.plan.centroid_atom * kAtomRows;
    float bias[kLists];
#pragma unroll
    for (int j = 0; j < kLists; ++j) {
      if (row_[j] < first_centroid)
        bias[j] = 0;
      else
        bias[j] =
            row_[j] == row_of_zeros(work) ? -INFINITY : centroid_bias[row_[j] - first_centroid];
    }
#pragma unroll
    for (int j = 0; j < kLists; ++j)
      if (32 * j + lane < Tile::kKeys) shared_.bias[turn_.stage][32 * j + lane] = bias[j];
  }

  /// A tile of rows by themselves, with the bias of each, which is read while the rows come. Those
  /// of the next tile are read ahead. (56 registers of a thread are few: what is kept from one tile
  /// to the next takes them from the copies, which then wait for each other's addresses.)
  __device__ void load_rows(const SparseWork& work) {
    const int lane = threadIdx.x % 32;
    std::uint32_t* const list = shared_.rows[kValues];
#pragma unroll
    for (int j = 0; j < kLists; ++j)
      // Where the row's first column lies among the atoms.
      if (32 * j + lane < Tile::kKeys)
        list[32 * j + lane] = row_[j] / kAtomRows * kAtomBytes + row_[j] % kAtomRows * (128 + 16);
    wait_empty();
    __syncwarp();
    gather(list);
    barrier_arrive_after_copies(full());
    if constexpr (!kValues) {
      write_bias(work);
      __syncwarp();
      if (lane == 0) barrier_arrive(full());
    }
    __syncwarp();
    read_rows(work);
  }

  /// The listed rows, from atoms to atoms: 16 bytes a lane, some rows at a time. Places are read in
  /// batches, or each copy would wait for its own.
  __device__ void gather(const std::uint32_t* list) const {
    constexpr int kChunks = Tile::kHeadDim / 8;      // of 16 bytes
    constexpr int kRows = kAtomRows * kChunks / 32;  // of an atom, for a lane
    constexpr int kBatch = 2;                        // atoms
    static_assert(kAtoms % kBatch == 0);
    struct alignas(4 * kRows) Places {
      std::uint32_t of[kRows];
    };
    const std::uint32_t lane = threadIdx.x % 32;
    const std::uint32_t chunk = lane % kChunks;
    const std::uint32_t swizzle = chunk % 8 * 16;
    const std::uint32_t first_row = lane / kChunks * kRows;
    // Added to a place but for the row's half of the swizzle, which it is combined with.
    const std::uint32_t from = chunk / 8 * 1024 + swizzle;
    std::uint32_t to = shared_address(tile()) + chunk / 8 * 1024 + first_row * 128;
    list += first_row;
#pragma unroll 1
    for (int atom = 0; atom < kAtoms; atom += kBatch) {
      Places places[kBatch];
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        places[i] = *reinterpret_cast<const Places*>(list + i * kAtomRows);
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
#pragma unroll
        for (int row = 0; row < kRows; ++row)
          copy_16_bytes(to + i * kAtomBytes + row * 128 + (swizzle ^ (first_row + row) * 16),
                        source_ + (places[i].of[row] ^ from), true, keep_);
      list += kBatch * kAtomRows;
      to += kBatch * kAtomBytes;
    }
  }

  const SparseArguments& a_;
  SparseShared<Tile>& shared_;
  const unsigned char* source_ = nullptr;
  AtomRun run_;       // this lane's
  AtomRun next_run_;  // read ahead of its use
  int run_at_;        // place of the next one in the list
  int run_begin_;     // of this lane's among all atoms
  int atoms_read_;    // atoms of the runs read
  int atoms_loaded_;
  int row_[kLists];  // of the next tile of rows
  int row_at_;
  std::uint64_t keep_ = l2_keep();
  PipelineTurn<Tile::kStages> turn_;
};

}  // namespace sparsevid::ops::cuda
