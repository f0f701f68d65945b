// Loading keys, values and queries of block-sparse work into shared memory.
#pragma once

#include "ops/cuda/attention_hopper/pack_keys.h"
#include "ops/cuda/attention_hopper/query_load.h"
#include "ops/cuda/attention_hopper/sparse_plan.h"
#include "ops/cuda/attention_hopper/work_slots.h"
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
struct SparseShared : QueryShared<Tile> {
  float bias[Tile::kStages][Tile::kKeys];  // of the keys of a tile of rows
  std::uint32_t rows[2][Tile::kKeys];      // of the tile being gathered: for keys, for values
  WorkSlots<SparseWork> work;
};

template <class Tile>
struct SparseTiles {
  static constexpr int kAtoms = Tile::kKeys / kAtomRows;
  static_assert(kAtoms <= kZeroAtoms);
  static constexpr int kAtomBytes = kAtomRows * Tile::kHeadDim * 2;

  int of_atoms;
  int of_rows;

  __device__ explicit SparseTiles(const SparseWork& work)
      : of_atoms((work.keys.atoms + kAtoms - 1) / kAtoms),
        of_rows((work.keys.rows + Tile::kKeys - 1) / Tile::kKeys) {}
  __device__ int count() const { return of_atoms + of_rows; }
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
    source_ = (kValues ? a_.plan.v : a_.plan.k) +
              static_cast<std::int64_t>(place(work)) * a_.plan.head_atoms * kAtomBytes;
    if (work.head >= a_.plan.packed_heads) {
      wait_for_count(a_.plan.packed + work.head, kAllPacked);
      fence_async_proxy_global();
    }
    if (tiles.of_atoms > 0) load_atoms(work, tiles);
    if (tiles.of_rows > 0) load_rows(work, tiles);
  }

 private:
  static constexpr int kAtomBytes = SparseTiles<Tile>::kAtomBytes;

  /// Of the head of `work` among those held.
  __device__ int place(const SparseWork& work) const { return work.head % a_.plan.held_heads; }
  __device__ unsigned char* tile() const { return (kValues ? shared_.v : shared_.k)[turn_.stage]; }
  __device__ Barrier* full() const {
    return &(kValues ? shared_.v_full : shared_.k_full)[turn_.stage];
  }
  __device__ void wait_empty() const {
    barrier_wait(&(kValues ? shared_.v_empty : shared_.k_empty)[turn_.stage], turn_.parity ^ 1);
  }

  /// Whole atoms, a tile after the other: a lane has a run and copies what of it falls into the
  /// tile.
  __device__ void load_atoms(const SparseWork& work, const SparseTiles<Tile>& tiles) {
    constexpr int kAtoms = SparseTiles<Tile>::kAtoms;
    const int lane = threadIdx.x % 32;
    const AtomRun* const runs =
        a_.plan.runs + static_cast<std::int64_t>(work.pair) * a_.plan.k_clusters;
    const auto read = [&](int at) { return at < work.keys.runs ? runs[at] : AtomRun{0, 0}; };
    int at = lane;
    AtomRun run{0, 0};
    AtomRun next = read(at);  // ahead of its use
    int begin = 0;            // of the run among all atoms
    int listed = 0;           // atoms of the runs read
    int tile_end = 0;
    for (int i = 0; i < tiles.of_atoms; ++i) {
      const int count = i == 0 ? tiles.first_atoms(work) : kAtoms;
      const int tile_begin = tile_end;
      tile_end += count;
      std::uint32_t bytes = 0;
      wait_empty();
      while (true) {
        const int from = max(begin, tile_begin);
        const int part = min(begin + run.atoms, tile_end) - from;
        if (part > 0) {
          copy_bytes(tile() + (from - tile_begin) * kAtomBytes,
                     source_ + static_cast<std::int64_t>(run.atom + (from - begin)) * kAtomBytes,
                     part * kAtomBytes, full(), keep_);
          bytes += part * kAtomBytes;
        }
        if (listed >= tile_end) break;
        run = next;
        at += 32;
        next = read(at);
        int sum = run.atoms;
#pragma unroll
        for (int distance = 1; distance < 32; distance *= 2) {
          const int before = __shfl_up_sync(~0u, sum, distance);
          if (lane >= distance) sum += before;
        }
        begin = listed + sum - run.atoms;
        listed += __shfl_sync(~0u, sum, 31);
      }
      // Weights of the rest of the tile are zero, but zero times anything must be zero.
      if (kValues && count < kAtoms && lane == 0) {
        const std::int64_t zeros =
            static_cast<std::int64_t>(a_.plan.held_heads) * a_.plan.head_atoms;
        copy_bytes(tile() + count * kAtomBytes, a_.plan.v + zeros * kAtomBytes,
                   (kAtoms - count) * kAtomBytes, full(), keep_);
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

  /// Rows by themselves, with the bias of each.
  __device__ void load_rows(const SparseWork& work, const SparseTiles<Tile>& tiles) {
    const int* const rows = a_.plan.rows + static_cast<std::int64_t>(work.pair) * a_.plan.pair_rows;
    const float* const centroid_bias =
        a_.plan.centroid_bias + static_cast<std::int64_t>(work.head) * a_.plan.k_clusters;
    const int first_centroid = a_.plan.centroid_atom * kAtomRows;
    const int zeros = (a_.plan.held_heads - place(work)) * a_.plan.head_atoms * kAtomRows;
    const int lane = threadIdx.x % 32;
    std::uint32_t* const list = shared_.rows[kValues];
    constexpr int kLists = (Tile::kKeys + 31) / 32;
    int row[kLists];
    float bias[kLists];
    const auto read_rows = [&](int tile) {
#pragma unroll
      for (int j = 0; j < kLists; ++j) {
        const int at = tile * Tile::kKeys + 32 * j + lane;
        row[j] = at < work.keys.rows ? rows[at] : zeros;
      }
    };
    const auto read_bias = [&] {
#pragma unroll
      for (int j = 0; j < kLists; ++j) {
        if (kValues || row[j] < first_centroid)
          bias[j] = 0;
        else
          bias[j] = row[j] == zeros ? -INFINITY : centroid_bias[row[j] - first_centroid];
      }
    };
    read_rows(0);
    read_bias();
#pragma unroll 1
    for (int i = 0; i < tiles.of_rows; ++i) {
#pragma unroll
      for (int j = 0; j < kLists; ++j)
        // Where the row begins among the atoms, less the swizzle.
        if (32 * j + lane < Tile::kKeys)
          list[32 * j + lane] = row[j] / kAtomRows * kAtomBytes + row[j] % kAtomRows * 128;
      read_rows(i + 1);  // ahead of their use
      wait_empty();
      if constexpr (!kValues) {
#pragma unroll
        for (int j = 0; j < kLists; ++j)
          if (32 * j + lane < Tile::kKeys) shared_.bias[turn_.stage][32 * j + lane] = bias[j];
      }
      __syncwarp();
      if (!kValues && lane == 0) barrier_arrive(full());
      gather(list);
      barrier_arrive_after_copies(full());
      __syncwarp();
      turn_.advance();
      read_bias();
    }
  }

  /// The listed rows, from atoms to atoms: 16 bytes a lane, some rows at a time. Places are read in
  /// batches, or each copy would wait for its own.
  __device__ void gather(const std::uint32_t* list) const {
    constexpr int kChunks = Tile::kHeadDim / 8;      // of 16 bytes
    constexpr int kRows = kAtomRows * kChunks / 32;  // of an atom, for a lane
    constexpr int kAtoms = SparseTiles<Tile>::kAtoms;
    constexpr int kBatch = 2;  // atoms
    static_assert(kAtoms % kBatch == 0);
    const std::uint32_t lane = threadIdx.x % 32;
    const std::uint32_t chunk = lane % kChunks;
    const std::uint32_t swizzle = chunk % 8 * 16;
    const std::uint32_t first_row = lane / kChunks * kRows;
    const unsigned char* const from = source_ + chunk / 8 * 1024;
    std::uint32_t to = shared_address(tile()) + chunk / 8 * 1024 + first_row * 128;
    list += first_row;
#pragma unroll 1
    for (int atom = 0; atom < kAtoms; atom += kBatch) {
      std::uint32_t places[kBatch][kRows];
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
#pragma unroll
        for (int row = 0; row < kRows; ++row) places[i][row] = list[i * kAtomRows + row];
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
#pragma unroll
        for (int row = 0; row < kRows; ++row) {
          const std::uint32_t place = places[i][row];
          copy_16_bytes(to + i * kAtomBytes + row * 128 + (swizzle ^ (first_row + row) * 16),
                        from + (place + (swizzle ^ (place / 8 & 0x70))), true, keep_);
        }
      list += kBatch * kAtomRows;
      to += kBatch * kAtomBytes;
    }
  }

  const SparseArguments& a_;
  SparseShared<Tile>& shared_;
  const unsigned char* source_ = nullptr;
  std::uint64_t keep_ = l2_keep();
  PipelineTurn<Tile::kStages> turn_;
};

}  // namespace sparsevid::ops::cuda
