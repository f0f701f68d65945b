// Means of keys and values and the scales of the values, before they are rounded (rounding.h), and
// the correction of the means after it.
//
// Plan: what is taken from keys may be any vector near their mean: that of about a thousand of
//   them. Sums, least and largest of the values in pieces of tokens; then one kernel that adds the
//   pieces up.
// Bound: memory.
#pragma once

#include "ops/cuda/attention_hopper_8bit/rounding.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

struct HeadStatistics {
  float* k_mean;          // all [heads, head_dim]; this one of numbers that bf16 holds
  float* k_rotated_mean;  // in the order of the bytes of keys
  float* v_mean;          // later corrected
  float* v_scale;         // of e4m3
};

/// Blocks (head) of 256 threads.
template <int kHeadDim>
__global__ void __launch_bounds__(256) means_of_keys(HeadRows k, HeadStatistics out) {
  constexpr int kSampled = 1024;
  constexpr int kColumnThreads = kHeadDim / 8;
  constexpr int kSlots = 256 / kColumnThreads;  // rows read at once
  const int head = blockIdx.x;
  const int column = threadIdx.x % kColumnThreads * 8;
  const int slot = threadIdx.x / kColumnThreads;
  const int step = max(1, k.rows / kSampled);
  float sum[8] = {};
#pragma unroll 4
  for (int row = slot * step; row < k.rows; row += kSlots * step) {
    float x[8];
    unpack(load_pack<__nv_bfloat16, 8>(k.row(head, row) + column), x);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum[i] += x[i];
  }
  __shared__ float shared[kSlots][kHeadDim];
  __shared__ __align__(16) __nv_bfloat16 mean[kHeadDim];
#pragma unroll
  for (int i = 0; i < 8; ++i) shared[slot][column + i] = sum[i];
  __syncthreads();
  if (threadIdx.x < kHeadDim) {
    float all = shared[0][threadIdx.x];
    for (int i = 1; i < kSlots; ++i) all += shared[i][threadIdx.x];
    mean[threadIdx.x] = __float2bfloat16(all / static_cast<float>((k.rows + step - 1) / step));
    out.k_mean[head * kHeadDim + threadIdx.x] = __bfloat162float(mean[threadIdx.x]);
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  RotatedRows<kHeadDim> x;
  const __nv_bfloat16* const rows[2] = {threadIdx.x < 4 ? mean : nullptr, nullptr};
  load_rotated<kHeadDim>({}, rows, x);
  if (threadIdx.x >= 4) return;
#pragma unroll
  for (int i = 0; i < kHeadDim / 4; ++i)
    out.k_rotated_mean[head * kHeadDim + kHeadDim / 4 * threadIdx.x + i] = x[0][i];
}

inline constexpr int kPieceRows = 512;
inline constexpr int kStatistics = 3;  // sum, least, largest; of each channel

/// Blocks (head, piece) of 256 threads: partial[head][piece][statistic][channel].
template <int kHeadDim>
__global__ void __launch_bounds__(256)
    statistics_of_values(HeadRows v, int pieces, float* partial) {
  constexpr int kColumnThreads = kHeadDim / 8;
  constexpr int kSlots = 256 / kColumnThreads;  // rows read at once
  const int column = threadIdx.x % kColumnThreads * 8;
  const int slot = threadIdx.x / kColumnThreads;
  const int head = blockIdx.x;
  const int end = min(v.rows, static_cast<int>(blockIdx.y + 1) * kPieceRows);
  float sum[8] = {};
  float least[8];
  float largest[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    least[i] = INFINITY;
    largest[i] = -INFINITY;
  }
#pragma unroll 8
  for (int row = blockIdx.y * kPieceRows + slot; row < end; row += kSlots) {
    float x[8];
    unpack(load_pack<__nv_bfloat16, 8>(v.row(head, row) + column), x);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      sum[i] += x[i];
      least[i] = fminf(least[i], x[i]);
      largest[i] = fmaxf(largest[i], x[i]);
    }
  }
  __shared__ float shared[kSlots][kHeadDim];
  float* out =
      partial + (static_cast<std::int64_t>(head) * pieces + blockIdx.y) * kStatistics * kHeadDim;
  const auto combine = [&](const float(&mine)[8], int statistic, auto join) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 8; ++i) shared[slot][column + i] = mine[i];
    __syncthreads();
    if (threadIdx.x >= kHeadDim) return;
    float all = shared[0][threadIdx.x];
#pragma unroll
    for (int i = 1; i < kSlots; ++i) all = join(all, shared[i][threadIdx.x]);
    out[statistic * kHeadDim + threadIdx.x] = all;
  };
  combine(sum, 0, [](float a, float b) { return a + b; });
  combine(least, 1, [](float a, float b) { return fminf(a, b); });
  combine(largest, 2, [](float a, float b) { return fmaxf(a, b); });
}

/// Blocks (head) of head_dim threads.
template <int kHeadDim>
__global__ void __launch_bounds__(kHeadDim)
    means_of_values(const float* partial, int pieces, int rows, HeadStatistics out) {
  const float* from = partial +
                      static_cast<std::int64_t>(blockIdx.x) * pieces * kStatistics * kHeadDim +
                      threadIdx.x;
  float sum = 0;
  float least = INFINITY;
  float largest = -INFINITY;
#pragma unroll 4
  for (int piece = 0; piece < pieces; ++piece, from += kStatistics * kHeadDim) {
    sum += from[0];
    least = fminf(least, from[kHeadDim]);
    largest = fmaxf(largest, from[2 * kHeadDim]);
  }
  const int at = blockIdx.x * kHeadDim + threadIdx.x;
  const float mean = sum / static_cast<float>(rows);
  const float range = fmaxf(largest - mean, mean - least);
  out.v_mean[at] = mean;
  out.v_scale[at] = range > 0 ? range / 448 : 1;
}

inline int statistics_pieces(int rows) { return ceil_div(rows, kPieceRows); }
inline std::size_t statistics_bytes(int rows, int head_dim) {
  return static_cast<std::size_t>(statistics_pieces(rows) * kStatistics + 4) * head_dim *
         sizeof(float);
}

/// Queues the statistics of `heads` heads.
template <int kHeadDim>
HeadStatistics head_statistics(const HeadRows& k, const HeadRows& v, int heads, Arena& arena,
                               cudaStream_t stream) {
  const std::int64_t channels = static_cast<std::int64_t>(heads) * kHeadDim;
  const int pieces = statistics_pieces(v.rows);
  HeadStatistics to{};
  for (float** array : {&to.k_mean, &to.k_rotated_mean, &to.v_mean, &to.v_scale})
    *array = arena.array<float>(channels);
  const auto partial = arena.array<float>(channels * kStatistics * pieces);
  means_of_keys<kHeadDim><<<heads, 256, 0, stream>>>(k, to);
  check_launch("attention_8bit");
  statistics_of_values<kHeadDim>
      <<<dim3(static_cast<unsigned>(heads), static_cast<unsigned>(pieces)), 256, 0, stream>>>(
          v, pieces, partial);
  check_launch("attention_8bit");
  means_of_values<kHeadDim><<<heads, kHeadDim, 0, stream>>>(partial, pieces, v.rows, to);
  check_launch("attention_8bit");
  return to;
}

/// Adds what rounding took from the values in the mean over all keys, lost[head][part][channel], to
/// their means, so that where all weights are equal the output is exact. (Values of bf16 fall on
/// few places between two neighbouring e4m3, so the mean of their errors is not nearly 0.) Blocks
/// (head) of 1024 threads.
template <int kHeadDim>
__global__ void __launch_bounds__(1024)
    correct_means(const float* lost, int parts, int rows, const float* v_scale, float* v_mean) {
  constexpr int kSlots = 1024 / kHeadDim;
  __shared__ float shared[kSlots][kHeadDim];
  const int channel = threadIdx.x % kHeadDim;
  const int slot = threadIdx.x / kHeadDim;
  float sum = 0;
#pragma unroll 4
  for (int part = slot; part < parts; part += kSlots)
    sum += lost[(static_cast<std::int64_t>(blockIdx.x) * parts + part) * kHeadDim + channel];
  shared[slot][channel] = sum;
  __syncthreads();
  if (slot != 0) return;
  for (int i = 1; i < kSlots; ++i) sum += shared[i][channel];
  const int at = blockIdx.x * kHeadDim + channel;
  v_mean[at] += sum * v_scale[at] / static_cast<float>(rows);
}

}  // namespace sparsevid::ops::cuda
