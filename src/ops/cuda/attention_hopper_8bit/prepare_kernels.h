// The kernels that round queries, keys and values to 8 bits (prepare.h).
//
// The problem: 2.3 GB of bf16 to 1.2 GB at 40 x 75,600 x 128, keys and values read twice, as their
//   means come first.
// Plan: sums of the keys and sums, least and largest of the values, in pieces of tokens; then one
//   kernel that adds the pieces up; then one whose blocks take a tile each of queries, keys or
//   values. Four threads hold a row of queries or keys, 32 channels each, so that the transform
//   needs two exchanges between threads; two channels of 16 values are a thread's, which is what
//   lies together in the image.
// Bound: memory.
#pragma once

#include <cuda_fp8.h>

#include "ops/cuda/attention_hopper_8bit/tile.h"
#include "ops/cuda/common/elements.h"

namespace sparsevid::ops::cuda {

struct HeadRows {
  const __nv_bfloat16* data;
  std::int64_t head_stride;
  std::int64_t row_stride;
  int rows;

  __device__ const __nv_bfloat16* row(std::int64_t head, int row) const {
    return data + head * head_stride + row * row_stride;
  }
};

inline constexpr int kPieceRows = 512;
inline constexpr int kStatistics = 4;  // sum of k, sum of v, least v, largest v; 128 channels each

/// Blocks (head, piece) of 256 threads: partial[head][piece][statistic][channel].
__global__ void __launch_bounds__(256)
    statistics_of_pieces(HeadRows k, HeadRows v, int pieces, float* partial) {
  constexpr int kSlots = 16;  // rows read at once, by 16 threads each
  const int column = threadIdx.x % 16 * 8;
  const int slot = threadIdx.x / 16;
  const int head = blockIdx.x;
  const int end = min(k.rows, static_cast<int>(blockIdx.y + 1) * kPieceRows);
  float sum_k[8] = {};
  float sum_v[8] = {};
  float least[8];
  float largest[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    least[i] = INFINITY;
    largest[i] = -INFINITY;
  }
#pragma unroll 4
  for (int row = blockIdx.y * kPieceRows + slot; row < end; row += kSlots) {
    float x[8];
    unpack(load_pack<__nv_bfloat16, 8>(k.row(head, row) + column), x);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum_k[i] += x[i];
    unpack(load_pack<__nv_bfloat16, 8>(v.row(head, row) + column), x);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      sum_v[i] += x[i];
      least[i] = fminf(least[i], x[i]);
      largest[i] = fmaxf(largest[i], x[i]);
    }
  }
  __shared__ float shared[kSlots][kHeadDim8];
  float* out =
      partial + (static_cast<std::int64_t>(head) * pieces + blockIdx.y) * kStatistics * kHeadDim8;
  const auto combine = [&](const float(&mine)[8], int statistic, auto join) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 8; ++i) shared[slot][column + i] = mine[i];
    __syncthreads();
    if (threadIdx.x >= kHeadDim8) return;
    float all = shared[0][threadIdx.x];
#pragma unroll
    for (int i = 1; i < kSlots; ++i) all = join(all, shared[i][threadIdx.x]);
    out[statistic * kHeadDim8 + threadIdx.x] = all;
  };
  const auto add = [](float a, float b) { return a + b; };
  combine(sum_k, 0, add);
  combine(sum_v, 1, add);
  combine(least, 2, [](float a, float b) { return fminf(a, b); });
  combine(largest, 3, [](float a, float b) { return fmaxf(a, b); });
}

struct Means8 {
  float* k_mean;  // all [heads, 128]
  float* v_mean;
  float* v_scale;
};

/// Blocks (head) of 128 threads.
__global__ void __launch_bounds__(kHeadDim8)
    means_of_heads(const float* partial, int pieces, int rows, Means8 out) {
  const float* from = partial +
                      static_cast<std::int64_t>(blockIdx.x) * pieces * kStatistics * kHeadDim8 +
                      threadIdx.x;
  float k = 0;
  float v = 0;
  float least = INFINITY;
  float largest = -INFINITY;
#pragma unroll 4
  for (int piece = 0; piece < pieces; ++piece, from += kStatistics * kHeadDim8) {
    k += from[0];
    v += from[kHeadDim8];
    least = fminf(least, from[2 * kHeadDim8]);
    largest = fmaxf(largest, from[3 * kHeadDim8]);
  }
  const int at = blockIdx.x * kHeadDim8 + threadIdx.x;
  const float mean = v / static_cast<float>(rows);
  const float range = fmaxf(largest - mean, mean - least);
  out.k_mean[at] = k / static_cast<float>(rows);
  out.v_mean[at] = mean;
  out.v_scale[at] = range > 0 ? range / 448 : 1;
}

/// Which of a thread's 32 channels change sign: any fixed choice without structure. Channel i of
/// thread t is channel 8 (t + 4 (i / 8)) + i % 8 of the row.
__device__ inline std::uint32_t flipped_signs(int thread) {
  return thread == 0   ? 0x9e3779b9u
         : thread == 1 ? 0x7f4a7c15u
         : thread == 2 ? 0xf39cc060u
                       : 0x5cedc834u;
}

/// The transform of a row, of whose channels each of four neighbouring threads has 32; not
/// normalised, so it makes products 128 times as large.
__device__ inline void rotate(float (&x)[32]) {
  const int thread = threadIdx.x % 4;
  const std::uint32_t signs = flipped_signs(thread);
#pragma unroll
  for (int i = 0; i < 32; ++i)
    x[i] = __int_as_float(__float_as_int(x[i]) ^ static_cast<int>(signs << (31 - i) & 0x80000000u));
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2)
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      if (i & distance) continue;
      const float sum = x[i] + x[i + distance];
      x[i + distance] = x[i] - x[i + distance];
      x[i] = sum;
    }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2)
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      const float other = __shfl_xor_sync(~0u, x[i], distance);
      x[i] = thread & distance ? other - x[i] : other + x[i];
    }
}

/// This thread's channels of a row.
__device__ inline void load_quarter(const __nv_bfloat16* row, float (&x)[32]) {
#pragma unroll
  for (int part = 0; part < 4; ++part) {
    float values[8];
    unpack(load_pack<__nv_bfloat16, 8>(row + (threadIdx.x % 4 + 4 * part) * 8), values);
#pragma unroll
    for (int i = 0; i < 8; ++i) x[8 * part + i] = values[i];
  }
}

__device__ inline float largest_magnitude(const float (&x)[32]) {
  float largest = 0;
#pragma unroll
  for (int i = 0; i < 32; ++i) largest = fmaxf(largest, fabsf(x[i]));
  return largest;
}

/// To bytes 32 t to 32 t + 31 of a row of the image: any order of channels will do that is the same
/// for queries and keys.
template <bool kSwizzled>
__device__ void store_quarter(const float (&x)[32], float inverse, unsigned char* image, int row) {
  std::uint32_t bytes[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    bytes[i] = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j)
      bytes[i] |= (static_cast<std::uint32_t>(__float2int_rn(x[4 * i + j] * inverse)) & 0xff)
                  << 8 * j;
  }
  unsigned char* const to = image + static_cast<std::int64_t>(row) * kHeadDim8;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int unit = (threadIdx.x % 4 * 2 + half) ^ (kSwizzled ? row % 8 : 0);
    *reinterpret_cast<uint4*>(to + unit * 16) =
        make_uint4(bytes[4 * half], bytes[4 * half + 1], bytes[4 * half + 2], bytes[4 * half + 3]);
  }
}

struct Round8Arguments {
  HeadRows q;
  HeadRows k;
  HeadRows v;
  unsigned char* q_image;
  unsigned char* k_image;
  unsigned char* v_image;
  float* q_scale;
  float* v_lost;  // [heads, k_tiles, 128], in units of v_scale
  const float* k_mean;
  const float* v_mean;
  const float* v_scale;
  int q_rows;
  int q_blocks;
  int k_tiles;
};

inline constexpr float kLargestInt8 = 127;

/// Four threads a row.
__device__ inline void round_queries(const Round8Arguments& a, std::int64_t head, int row) {
  float x[32] = {};
  if (row < a.q.rows) load_quarter(a.q.row(head, row), x);
  rotate(x);
  float largest = largest_magnitude(x);
  largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
  largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 2));
  if (row >= a.q_rows) return;
  store_quarter<false>(x, largest > 0 ? kLargestInt8 / largest : 0,
                       a.q_image + head * a.q_rows * kHeadDim8, row);
  if (threadIdx.x % 4 == 0) a.q_scale[head * a.q_rows + row] = largest / kLargestInt8;
}

/// A tile by as many threads as four for each key.
template <class Tile>
__device__ void round_keys(const Round8Arguments& a, std::int64_t head, int tile) {
  __shared__ float warps[32];
  float x[32];
  load_quarter(
      a.k.row(head, min(tile * Tile::kKeys + static_cast<int>(threadIdx.x) / 4, a.k.rows - 1)), x);
  const float* mean = a.k_mean + head * kHeadDim8;
#pragma unroll
  for (int part = 0; part < 4; ++part) {
    float m[8];
    load_floats(mean + (threadIdx.x % 4 + 4 * part) * 8, m);
#pragma unroll
    for (int i = 0; i < 8; ++i) x[8 * part + i] -= m[i];
  }
  rotate(x);
  float largest = largest_magnitude(x);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, distance));
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = largest;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < Tile::kKeys * 4 / 32; ++i) largest = fmaxf(largest, warps[i]);
  unsigned char* image = a.k_image + (head * a.k_tiles + tile) * Tile::kKeyBytes;
  store_quarter<true>(x, largest > 0 ? kLargestInt8 / largest : 0, image,
                      static_cast<int>(threadIdx.x) / 4);
  if (threadIdx.x == 0) *reinterpret_cast<float*>(image + Tile::kScaleAt) = largest / kLargestInt8;
}

__device__ inline float from_e4m3_byte(std::uint32_t bytes, int which) {
  return __half2float(
      __nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(bytes >> 8 * which), __NV_E4M3));
}

/// A tile by as many threads as four for each key: 64 for 16 keys.
template <class Tile>
__device__ void round_values(const Round8Arguments& a, std::int64_t head, int tile) {
  const int atom = static_cast<int>(threadIdx.x) / 64;
  const int pair = static_cast<int>(threadIdx.x) % 64;  // of channels
  const int first = tile * Tile::kKeys + atom * 16;
  unsigned char* image =
      a.v_image + (head * a.k_tiles + tile) * Tile::kValueBytes + atom * kValueAtomBytes;
  float2 x[16];
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const int row = min(first + i, a.v.rows - 1);
    x[i] =
        __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(a.v.row(head, row) + 2 * pair));
  }
  const float2 mean = reinterpret_cast<const float2*>(a.v_mean + head * kHeadDim8)[pair];
  const float2 scale = reinterpret_cast<const float2*>(a.v_scale + head * kHeadDim8)[pair];
  const float2 inverse = make_float2(1 / scale.x, 1 / scale.y);
#pragma unroll
  for (int i = 0; i < 16; ++i)
    x[i] = first + i < a.v.rows
               ? make_float2((x[i].x - mean.x) * inverse.x, (x[i].y - mean.y) * inverse.y)
               : make_float2(0, 0);
  std::uint32_t even[4];
  std::uint32_t odd[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 y[4] = {x[column_of_place(4 * i)], x[column_of_place(4 * i + 1)],
                         x[column_of_place(4 * i + 2)], x[column_of_place(4 * i + 3)]};
    even[i] = pack_e4m3(y[0].x, y[1].x, y[2].x, y[3].x);
    odd[i] = pack_e4m3(y[0].y, y[1].y, y[2].y, y[3].y);
  }
  uint4* const to = reinterpret_cast<uint4*>(image) + 2 * pair;
  to[0] = make_uint4(even[0], even[1], even[2], even[3]);
  to[1] = make_uint4(odd[0], odd[1], odd[2], odd[3]);
  if (pair < kValueRows - kHeadDim8) {
    std::uint32_t ones[4] = {};
#pragma unroll
    for (int place = 0; place < 16; ++place)
      if (pair == (first / 16) % 8 && first + column_of_place(place) < a.v.rows)
        ones[place / 4] |= 0x38u << 8 * (place % 4);
    reinterpret_cast<uint4*>(image)[kHeadDim8 + pair] =
        make_uint4(ones[0], ones[1], ones[2], ones[3]);
  }
  float2 lost = make_float2(0, 0);
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    lost.x += x[column_of_place(i)].x - from_e4m3_byte(even[i / 4], i % 4);
    lost.y += x[column_of_place(i)].y - from_e4m3_byte(odd[i / 4], i % 4);
  }
  __shared__ float2 atoms[Tile::kKeys / 16][kHeadDim8 / 2];
  atoms[atom][pair] = lost;
  __syncthreads();
  if (atom != 0) return;
  for (int i = 1; i < Tile::kKeys / 16; ++i) {
    lost.x += atoms[i][pair].x;
    lost.y += atoms[i][pair].y;
  }
  reinterpret_cast<float2*>(a.v_lost + (head * a.k_tiles + tile) * kHeadDim8)[pair] = lost;
}

/// Adds what rounding took from the values in the mean over all keys to their means, so that where
/// all weights are equal the output is exact. (Values of bf16 fall on few places between two
/// neighbouring e4m3, so the mean of their errors is not nearly 0.) Blocks (head) of 1024 threads.
__global__ void __launch_bounds__(8 * kHeadDim8)
    correct_means(const float* lost, int tiles, int rows, const float* v_scale, float* v_mean) {
  __shared__ float parts[8][kHeadDim8];
  const int channel = threadIdx.x % kHeadDim8;
  const int part = threadIdx.x / kHeadDim8;
  float sum = 0;
#pragma unroll 4
  for (int tile = part; tile < tiles; tile += 8)
    sum += lost[(static_cast<std::int64_t>(blockIdx.x) * tiles + tile) * kHeadDim8 + channel];
  parts[part][channel] = sum;
  __syncthreads();
  if (part != 0) return;
  for (int i = 1; i < 8; ++i) sum += parts[i][channel];
  const int at = blockIdx.x * kHeadDim8 + channel;
  v_mean[at] += sum * v_scale[at] / static_cast<float>(rows);
}

/// Blocks (head, tile of queries, then of keys, then of values).
template <class Tile>
__global__ void __launch_bounds__(Tile::kKeys * 4)
    round_to_8bit(const __grid_constant__ Round8Arguments a) {
  const int head = blockIdx.x;
  int tile = blockIdx.y;
  if (tile < a.q_blocks) {
    round_queries(a, head, tile * Tile::kKeys + static_cast<int>(threadIdx.x) / 4);
    return;
  }
  tile -= a.q_blocks;
  if (tile < a.k_tiles)
    round_keys<Tile>(a, head, tile);
  else
    round_values<Tile>(a, head, tile - a.k_tiles);
}

}  // namespace sparsevid::ops::cuda
