// Loading queries that lie anywhere into shared memory, and where their outputs go.
#pragma once

#include <cuda_bf16.h>

#include "ops/cuda/attention_hopper/tile.h"
#include "ops/cuda/common/tma.h"

namespace sparsevid::ops::cuda {

/// Rows of one head after another.
template <class Element>
struct HeadPointers {
  Element* data;
  std::int64_t head_stride;
  std::int64_t row_stride;
};

/// Warps that load queries; each arrives at full() with every lane's copies and once for the
/// tokens.
inline constexpr int kQueryLoaders = 2;
inline constexpr int kQueryArrivals = 33 * kQueryLoaders;

/// The queries come in `kGroups` equal parts, each as soon as those that read it are done with what
/// was there.
template <class Tile, int kGroups = 1>
struct QueryShared : AttentionShared<Tile> {
  int tokens[2][Tile::kRows];     // of the queries, for this work and the next; -1: none
  Barrier further_full[kGroups];  // of all parts but the first
  Barrier further_empty[kGroups];

  __device__ Barrier* full(int group) { return group == 0 ? &this->q_full : &further_full[group]; }
  __device__ Barrier* empty(int group) {
    return group == 0 ? &this->q_empty : &further_empty[group];
  }
};

/// One warp: its share of the queries, rows between those of the work and a whole warpgroup's as
/// zeros.
template <class Tile, int kLoader, int kGroups = 1>
class QueryLoader {
 public:
  __device__ QueryLoader(const HeadPointers<const __nv_bfloat16>& q,
                         QueryShared<Tile, kGroups>& shared)
      : q_(q), shared_(shared) {}

  /// `rows` queries of `head`, the tokens token_of(0), token_of(1), ...
  template <class TokenOf>
  __device__ void load(int head, int rows, TokenOf token_of) {
#pragma unroll 1
    for (int group = 0; group < kGroups; ++group) load_group(head, rows, token_of, group);
    turn_.advance();
  }

 private:
  template <class TokenOf>
  __device__ void load_group(int head, int rows, TokenOf token_of, int group) {
    constexpr int kChunks = Tile::kHeadDim / 8;  // of 16 bytes
    constexpr int kStep = 32 / kChunks;          // rows at a time
    constexpr int kBatch = 8;
    constexpr int kGroupRows = Tile::kRows / kGroups;
    constexpr int kLists = kGroupRows / kQueryLoaders / 32;
    static_assert(kLists * kQueryLoaders * 32 * kGroups == Tile::kRows);
    const int begin = group * kGroupRows + kLoader * kLists * 32;
    const int lane = threadIdx.x % 32;
    const int chunk = lane % kChunks;
    // Found while the queries before are still in use.
    int tokens[kLists];
#pragma unroll
    for (int i = 0; i < kLists; ++i) {
      const int row = begin + 32 * i + lane;
      tokens[i] = row < rows ? token_of(row) : -1;
    }
    const __nv_bfloat16* const q = q_.data + head * q_.head_stride + 8 * chunk;
    const std::uint32_t to = shared_address(shared_.q) + chunk / 8 * 64 * 128;
    int* const listed = shared_.tokens[turn_.parity] + begin;
    barrier_wait(shared_.empty(group), turn_.parity ^ 1);
#pragma unroll
    for (int i = 0; i < kLists; ++i) listed[32 * i + lane] = tokens[i];
    __syncwarp();
    if (lane == 0) barrier_arrive(shared_.full(group));  // for the tokens
    const int end = min((rows + 63) / 64 * 64 - begin, kLists * 32);
    static_assert(kBatch * kStep % 8 == 0 && 64 % (kBatch * kStep) == 0);
#pragma unroll 1
    for (int first = 0; first < end; first += kBatch * kStep) {
      const int first_row = begin + first + lane / kChunks;
      const std::uint32_t first_place =
          to + first_row / 64 * Tile::kWarpgroupQueryBytes + first_row % 64 * 128;
      int token[kBatch];
#pragma unroll
      for (int j = 0; j < kBatch; ++j) token[j] = listed[first + j * kStep + lane / kChunks];
#pragma unroll
      for (int j = 0; j < kBatch; ++j) {
        copy_16_bytes(
            first_place + j * kStep * 128 + ((chunk % 8) ^ ((first_row + j * kStep) % 8)) * 16,
            q + max(token[j], 0) * q_.row_stride, token[j] >= 0, give_up_);
      }
    }
    barrier_arrive_after_copies(shared_.full(group));
  }

  const HeadPointers<const __nv_bfloat16>& q_;
  QueryShared<Tile, kGroups>& shared_;
  std::uint64_t give_up_ = l2_give_up();
  PipelineTurn<1> turn_;
};

/// Where rows `row` and `row + 8` of the work whose queries are `tokens` are stored.
__device__ inline void rows_of_tokens(__nv_bfloat16* (&rows)[2], const int* tokens, int row,
                                      const HeadPointers<__nv_bfloat16>& out, int head) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int token = tokens[row + 8 * h];
    rows[h] = token < 0 ? nullptr : out.data + head * out.head_stride + token * out.row_stride;
  }
}

}  // namespace sparsevid::ops::cuda
