// Norms of rows that lie in whole units of 16 bytes and are not too long.
//
// The problem: [75600, 5120] bf16, 1.55 GB read and written once; scale and shift are f32 rows,
// four times the bytes of a row of x, that every row needs.
// Plan: a block of few warps takes a few rows. A thread has the same units of 8 elements in each:
//   their scale and shift stay in its registers, and their elements come by cp.async, some rows
//   ahead, into a ring in shared memory that no other thread reads, so that nobody waits for
//   anybody to fill or to empty it. Each pass over a row reads it from there: as floats in
//   registers it would take the place of scale and shift. The sums of LayerNorm are those of a warp
//   about its own mean, which one barrier then puts together (Chan, Golub and LeVeque 1979). Rows
//   of up to 256 elements take 4 to 32 lanes and no barrier.
// Shared memory: 20 to 30 KiB at 5120.
// Bound: memory. At 5120, where a copy reaches 4.23 TB/s on an H200: RMSNorm 4.12, with rotation
//   4.04, LayerNorm 4.05; short rows of 32 to 256 elements 3.6 to 3.8.
// Tried, LayerNorm (RMSNorm) at 5120: a block for a row, 8 elements a thread, scale and shift in
//   registers: 2.88 (3.64); 16 elements, scale and shift in shared memory, two barriers: 3.34
//   (3.87); 40 elements a thread: 3.22 (3.39); this ring in blocks that stay: 3.78 (3.82), filled
//   by bulk copies 3.66 (3.82). Asking of every unit whether the thread has it: LayerNorm 3.59 with
//   8 rows a block, for the loads of units then wait for each other; without, 8: 3.94, 4: 4.05,
//   16: 3.86, 24: 3.82 (RMSNorm 1: 3.81, 2: 4.12, 3: 4.09, 4: 4.04). A ring of 2 or 4 rows: the
//   same.
#pragma once

#include <algorithm>

#include "ops/cuda/common/cp_async.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/norm_rows/problem.h"

namespace sparsevid::ops::cuda::norm_rows {

constexpr int kUnit = 8;  // elements that stay together
constexpr int kLongest = 8192;

/// How a kernel deals out rows: kLanes lanes of a warp to each, or a block where that is 0, and
/// kUnits units to each of these threads.
template <int kLanes_, int kUnits_>
struct Share {
  static constexpr int kLanes = kLanes_;
  static constexpr int kUnits = kUnits_;
  // Taken where it leaves no lane idle: then nobody has to ask whether a unit is there, and the
  // loads of all units go out before the first is waited for.
  static constexpr bool kFull = kLanes == 0 && kUnits > 2;
  // Scale and shift take 16 registers a unit.
  static constexpr int kMostThreads = kLanes > 0 ? 128 : kUnits > 2 ? 256 : 512;
};

/// Rows that are on their way, the one in work among them.
constexpr int depth_of(Statistic statistic, bool whole_block) {
  return !whole_block ? 4 : statistic == Statistic::layer ? 3 : 2;
}
/// Of a block that takes a row at a time: few, so that blocks come and go as memory allows (blocks
/// that stay and walk down the rows: 3.7 to 3.8 TB/s), but LayerNorm's have twice as much to fetch
/// before the first.
inline std::int64_t rows_of_block(Statistic statistic, std::int64_t dim) {
  constexpr std::int64_t kLayerElements = 20480;
  return statistic == Statistic::layer ? std::clamp<std::int64_t>(kLayerElements / dim, 2, 8) : 2;
}

/// The ring of a thread: places of 16 bytes, those of neighbouring threads side by side.
template <typename In, class Share, bool kRotate>
class Ring {
 public:
  static constexpr int kWidth = 16 / static_cast<int>(sizeof(In));
  static constexpr int kPlaces = Share::kUnits * (kUnit / kWidth) + (kRotate ? 2 : 0);

  __device__ explicit Ring(unsigned char* memory)
      : memory_(memory + 16 * threadIdx.x), step_(16 * static_cast<int>(blockDim.x)) {}

  __device__ void load_unit(int slot, int i, const In* from) const {
#pragma unroll
    for (int part = 0; part < kUnit / kWidth; ++part)
      cp_async_16(shared_address(place(slot, i * (kUnit / kWidth) + part)), from + part * kWidth,
                  true);
  }
  __device__ void load_angles(int slot, const float* cosines, const float* sines) const {
    cp_async_16(shared_address(place(slot, kPlaces - 2)), cosines, true);
    cp_async_16(shared_address(place(slot, kPlaces - 1)), sines, true);
  }

  __device__ void unit(int slot, int i, float (&values)[kUnit]) const {
#pragma unroll
    for (int part = 0; part < kUnit / kWidth; ++part) {
      const auto pack = load_pack<In, kWidth>(
          reinterpret_cast<const In*>(place(slot, i * (kUnit / kWidth) + part)));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) values[part * kWidth + j] = to_float(pack.value[j]);
    }
  }
  __device__ void angles(int slot, float (&cosines)[kUnit / 2], float (&sines)[kUnit / 2]) const {
    load_floats(reinterpret_cast<const float*>(place(slot, kPlaces - 2)), cosines);
    load_floats(reinterpret_cast<const float*>(place(slot, kPlaces - 1)), sines);
  }

 private:
  __device__ unsigned char* place(int slot, int i) const {
    return memory_ + (slot * kPlaces + i) * step_;
  }

  unsigned char* memory_;
  int step_;
};

/// Keeps the compiler from carrying what it read from the ring past this place.
__device__ inline void read_again() { asm volatile("" ::: "memory"); }

template <typename In, typename Out, Statistic kStatistic, bool kRotate, class Share>
__global__ void __launch_bounds__(Share::kMostThreads, 512 / Share::kMostThreads)
    norm_rows_kernel(const NormRows p) {
  constexpr bool kLayer = kStatistic == Statistic::layer;
  constexpr int kUnits = Share::kUnits;
  constexpr bool kWholeBlock = Share::kLanes == 0;
  constexpr int kDepth = depth_of(kStatistic, kWholeBlock);
  constexpr int kSumLanes = kWholeBlock ? 32 : Share::kLanes;
  static_assert(!kRotate || kWholeBlock);
  extern __shared__ __align__(16) unsigned char memory[];
  // Of a warp, about its own mean; and the part of the row's elements that it has.
  __shared__ float2 partial[2][Share::kMostThreads / 32];
  __shared__ float part_of_row[Share::kMostThreads / 32];

  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const int lanes = kWholeBlock ? threads : Share::kLanes;
  const int lane = thread % lanes;
  const int warp = thread / 32;
  const int warps = threads / 32;
  const int units = static_cast<int>(p.dim) / kUnit;
  const float inverse_dim = 1 / static_cast<float>(p.dim);
  const auto unit_of = [&](int i) { return i * lanes + lane; };
  const auto has_unit = [&](int i) { return Share::kFull || unit_of(i) < units; };

  // Before the rows: what is in the first cache waits behind what is not.
  float scale[kUnits][kUnit];
  float shift[kUnits][kUnit];
#pragma unroll
  for (int i = 0; i < kUnits; ++i) {
#pragma unroll
    for (int j = 0; j < kUnit; ++j) {
      scale[i][j] = 1;
      shift[i][j] = 0;
    }
    if (!has_unit(i)) continue;
    const int at = unit_of(i) * kUnit;
    if (p.scale != nullptr) load_floats(p.scale + at, scale[i]);
    if (kLayer && p.shift != nullptr) load_floats(p.shift + at, shift[i]);
  }
  if (kWholeBlock && thread < warps) {
    int count = 0;
    for (int i = 0; i < kUnits; ++i) count += min(max(units - (i * threads + 32 * thread), 0), 32);
    part_of_row[thread] = static_cast<float>(count * kUnit) * inverse_dim;
  }
  if constexpr (kLayer && kWholeBlock) __syncthreads();

  const std::int64_t first = blockIdx.x * p.block_distance;
  const std::int64_t end = min(p.rows, first + p.block_rows);
  std::int64_t row = first + thread / lanes;
  const Ring<In, Share, kRotate> ring(memory);
  const auto load = [&](std::int64_t at, int slot) {
    if (at < end) {
      const In* x = static_cast<const In*>(p.x) + at * p.x_stride;
#pragma unroll
      for (int i = 0; i < kUnits; ++i)
        if (has_unit(i)) ring.load_unit(slot, i, x + unit_of(i) * kUnit);
      if constexpr (kRotate) {
        // The same for all units of a thread: heads do not straddle the block's width.
        const std::int64_t angle = at * p.half_head + lane * (kUnit / 2) % p.half_head;
        ring.load_angles(slot, p.cos + angle, p.sin + angle);
      }
    }
    cp_async_commit();
  };
#pragma unroll
  for (int i = 0; i < kDepth; ++i) load(row + i * p.row_step, i);

  // Only here: adding waits for what was asked for.
  if (p.scale != nullptr) {
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
#pragma unroll
      for (int j = 0; j < kUnit; ++j) scale[i][j] += p.scale_offset;
    }
  }

  int slot = 0;
  int parity = 0;
  // All lanes of a warp stay until its last row is done: they meet in the sums.
  for (std::int64_t top = first; top < end; top += p.row_step, row += p.row_step) {
    cp_async_wait<kDepth - 1>();
    float mean = 0;
    if constexpr (kLayer) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kUnits; ++i) {
        if (!has_unit(i)) continue;
        float x[kUnit];
        ring.unit(slot, i, x);
#pragma unroll
        for (int j = 0; j < kUnit; ++j) sum += x[j];
      }
      mean = sum_lanes<kSumLanes>(sum) * inverse_dim;
      if constexpr (kWholeBlock) mean /= part_of_row[warp];
      read_again();
    }
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      if (!has_unit(i)) continue;
      float x[kUnit];
      ring.unit(slot, i, x);
#pragma unroll
      for (int j = 0; j < kUnit; ++j) squares += (x[j] - mean) * (x[j] - mean);
    }
    float variance = sum_lanes<kSumLanes>(squares) * inverse_dim;
    if constexpr (kWholeBlock) {
      if (thread % 32 == 0) partial[parity][warp] = {mean, variance};
      __syncthreads();
      mean = 0;
      variance = 0;
      if constexpr (kLayer)
        for (int w = 0; w < warps; ++w) mean += part_of_row[w] * partial[parity][w].x;
      for (int w = 0; w < warps; ++w) {
        const float2 of_warp = partial[parity][w];
        const float off = of_warp.x - mean;
        variance += kLayer ? of_warp.y + part_of_row[w] * off * off : of_warp.y;
      }
      parity ^= 1;
    }
    read_again();

    const float factor = rsqrtf(variance + p.epsilon);
    float cosines[kUnit / 2];
    float sines[kUnit / 2];
    if constexpr (kRotate) ring.angles(slot, cosines, sines);
    Out* out = static_cast<Out*>(p.out) + row * p.out_stride;
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      if (!has_unit(i) || (!kWholeBlock && row >= end)) continue;
      float x[kUnit];
      ring.unit(slot, i, x);
      float y[kUnit];
#pragma unroll
      for (int j = 0; j < kUnit; ++j)
        y[j] = kLayer ? (x[j] - mean) * factor * scale[i][j] + shift[i][j]
                      : x[j] * factor * scale[i][j];
      if constexpr (kRotate) {
#pragma unroll
        for (int j = 0; j < kUnit; j += 2) {
          const float even = y[j];
          const float odd = y[j + 1];
          y[j] = even * cosines[j / 2] - odd * sines[j / 2];
          y[j + 1] = even * sines[j / 2] + odd * cosines[j / 2];
        }
      }
      store_floats(out + unit_of(i) * kUnit, y);
    }
    load(row + kDepth * p.row_step, slot);
    slot = slot + 1 == kDepth ? 0 : slot + 1;
  }
}

}  // namespace sparsevid::ops::cuda::norm_rows
