// What tokens lose by moving to neighbouring clusters, for round_clusters.cu: on the tensor cores.
//
// The problem: [40, 75600, 128] bf16, of each row the products with the differences between eight
//   centroids and its own one: 6 GFLOP, and 0.77 GB to read, gathered in pieces of 256 bytes.
// Plan: |x - c|^2 - |x - own|^2 = |d|^2 + 2 own . d - 2 x . d with d = c - own. A block takes a
//   cluster, a warp 16 of its rows at a time: they are the left operand as they come from memory,
//   with the columns of k exchanged so that a lane's are 16 neighbouring bytes. The eight d are the
//   right operand of the whole cluster, in registers, each split into three bf16: the sums are
//   those of f32.
// Bound: memory, 0.2 ms.
// Tried: eight lanes a row and f32, with d in shared memory: 1.1 ms, 16 bytes of shared memory for
//   each multiplication of four rows.
#pragma once

#include <cstdint>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/mma_sync.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/round_clusters_problem.h"

namespace sparsevid::ops::cuda {

constexpr int kProductThreads = 128;

/// 16 bytes of a row of which all is wanted soon.
__device__ inline Pack<unsigned, 4> load_of_row(const device_bf16* from) {
  Pack<unsigned, 4> words;
  asm volatile("ld.global.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.value[0]), "=r"(words.value[1]), "=r"(words.value[2]),
                 "=r"(words.value[3])
               : "l"(from));
  return words;
}

template <int kDim>
__global__ void __launch_bounds__(kProductThreads)
    find_costs_by_products(const RoundProblem p, const device_bf16* x, std::int64_t head_stride,
                           std::int64_t row_stride) {
  constexpr int kPieces = kDim / 32;  // of 8 columns, of a lane
  constexpr int kParts = 3;
  constexpr int kRows = 16;  // of a warp
  const int c = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int* offsets = p.offsets + head * p.offsets_stride;
  const int begin = offsets[c];
  const int end = offsets[c + 1];
  if (begin == end) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int quarter = lane % 4;
  const int group = lane / 4;
  const int neighbour =
      p.neighbours[(static_cast<std::int64_t>(head) * p.clusters + c) * kNear + group];
  const float* centroids = p.centroids + head * p.centroids_stride;
  const float* own = centroids + static_cast<std::int64_t>(c) * kDim;
  const float* other =
      neighbour < 0 ? own : centroids + static_cast<std::int64_t>(neighbour) * kDim;
  unsigned towards[kParts][2 * kPieces][2];  // of 16 columns of k the two that a lane holds
  float constant = 0;
#pragma unroll
  for (int i = 0; i < kPieces; ++i)
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const int column = (quarter + 4 * i) * 8 + 2 * pair;
      const float from[2] = {own[column], own[column + 1]};
      float rest[2] = {other[column] - from[0], other[column + 1] - from[1]};
#pragma unroll
      for (int e = 0; e < 2; ++e) constant += rest[e] * (rest[e] + 2 * from[e]);
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        const unsigned rounded = pack_bf16(rest[0], rest[1]);
        towards[part][2 * i + pair / 2][pair % 2] = rounded;
        rest[0] -= __uint_as_float(rounded << 16);
        rest[1] -= __uint_as_float(rounded & 0xffff0000U);
      }
    }
  constant = sum_lanes<4>(constant);
  const float constants[2] = {__shfl_sync(~0U, constant, 8 * quarter),
                              __shfl_sync(~0U, constant, 8 * quarter + 4)};

  const int* order = p.order + head * p.order_stride;
  const device_bf16* rows = x + head * head_stride + quarter * 8;
  const std::int64_t first_of_head = static_cast<std::int64_t>(head) * p.count;
  constexpr int kStep = kProductThreads / 32 * kRows;
  int first = begin + static_cast<int>(threadIdx.x) / 32 * kRows;
  // All lanes of a warp stay together: those behind the end take the last row once more.
  const auto token_of = [&](int place) { return order[min(place, end - 1)]; };
  int next[2] = {token_of(first + group), token_of(first + group + 8)};
  for (; first < end; first += kStep) {
    const int token[2] = {next[0], next[1]};
    Pack<unsigned, 4> words[2][kPieces];
#pragma unroll
    for (int i = 0; i < kPieces; ++i)
#pragma unroll
      for (int r = 0; r < 2; ++r) words[r][i] = load_of_row(rows + token[r] * row_stride + 32 * i);
    for (int r = 0; r < 2; ++r) next[r] = token_of(first + kStep + group + 8 * r);
    float sums[kParts][4] = {};
#pragma unroll
    for (int step = 0; step < 2 * kPieces; ++step) {
      const auto word = [&](int r, int pair) {
        return words[r][step / 2].value[step % 2 * 2 + pair];
      };
      const unsigned left[4] = {word(0, 0), word(1, 0), word(0, 1), word(1, 1)};
#pragma unroll
      for (int part = 0; part < kParts; ++part)
        mma_bf16(sums[part], left, towards[part][step][0], towards[part][step][1]);
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int place = first + group + 8 * r;
      if (place >= end) continue;
      float costs[2];
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        float product = 0;
#pragma unroll
        for (int part = kParts - 1; part >= 0; --part) product += sums[part][2 * r + n];
        costs[n] = constants[n] - 2 * product;
      }
      const std::int64_t at = first_of_head + place;
      store_floats(p.costs + at * kNear + 2 * quarter, costs);
      if (quarter == 0) p.now[at] = TokenPlace::at_first(c);
    }
  }
}

}  // namespace sparsevid::ops::cuda
