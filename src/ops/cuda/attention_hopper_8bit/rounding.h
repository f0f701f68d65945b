// Rounding rows of queries, keys and values to 8 bits, and where their bytes lie (tile.h).
//
// What is rounded is not what came in, but equivalent to it:
//   keys less their mean, which adds the same to all logits of a query, so softmax does not see it;
//   queries and keys with signs of channels flipped and a Hadamard transform over the channels, the
//     same for both, so that their products stay: a channel with large values is spread over all,
//     and int8 loses little;
//   values less their mean, which is added to the output again, as weights sum to 1.
// Four threads hold a row of queries or keys, so that the transform needs two exchanges between
// threads; a thread holds two channels of 16 values, which is what lies together in the image.
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

/// Heads from `first` on.
inline HeadRows head_rows_from(const TensorView& view, std::int64_t first) {
  return {static_cast<const __nv_bfloat16*>(view.data()) + first * view.stride(0), view.stride(0),
          view.stride(1), static_cast<int>(view.size(1))};
}

/// Threads that round 16 keys, and those that round 16 values.
inline constexpr int kThreadsPerKeyAtom = 4 * kAtomKeys;
template <int kHeadDim>
inline constexpr int kThreadsPerValueAtom = kHeadDim / 2;

/// One of four neighbouring threads' channels of a row: i is channel
/// 8 (thread + 4 (i / 8)) + i % 8.
template <int kHeadDim>
using RowQuarter = float[kHeadDim / 4];

template <int kHeadDim, class Element>
__device__ void load_quarter(const Element* row, RowQuarter<kHeadDim>& x) {
#pragma unroll
  for (int part = 0; part < kHeadDim / 32; ++part) {
    const Element* const from = row + (threadIdx.x % 4 + 4 * part) * 8;
    float values[8];
    if constexpr (std::is_same_v<Element, float>)
      load_floats(from, values);
    else
      unpack(load_pack<Element, 8>(from), values);
#pragma unroll
    for (int i = 0; i < 8; ++i) x[8 * part + i] = values[i];
  }
}

/// Which of a thread's channels change sign: any fixed choice without structure.
__device__ inline std::uint32_t flipped_signs(int thread) {
  return thread == 0   ? 0x9e3779b9u
         : thread == 1 ? 0x7f4a7c15u
         : thread == 2 ? 0xf39cc060u
                       : 0x5cedc834u;
}

/// The transform of a row; not normalised, so it makes products head_dim times as large.
template <int kHeadDim>
__device__ void rotate(RowQuarter<kHeadDim>& x) {
  constexpr int kCount = kHeadDim / 4;
  const int thread = threadIdx.x % 4;
  const std::uint32_t signs = flipped_signs(thread);
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    x[i] = __int_as_float(__float_as_int(x[i]) ^ static_cast<int>(signs << (31 - i) & 0x80000000u));
#pragma unroll
  for (int distance = 1; distance < kCount; distance *= 2)
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (i & distance) continue;
      const float sum = x[i] + x[i + distance];
      x[i + distance] = x[i] - x[i + distance];
      x[i] = sum;
    }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2)
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float other = __shfl_xor_sync(~0u, x[i], distance);
      x[i] = thread & distance ? other - x[i] : other + x[i];
    }
}

/// Row less mean, rotated.
template <int kHeadDim, class Element>
__device__ void load_key(const Element* row, const float* mean, RowQuarter<kHeadDim>& x) {
  RowQuarter<kHeadDim> m;
  load_quarter<kHeadDim>(row, x);
  load_quarter<kHeadDim>(mean, m);
#pragma unroll
  for (int i = 0; i < kHeadDim / 4; ++i) x[i] -= m[i];
  rotate<kHeadDim>(x);
}

template <int kCount>
__device__ float largest_magnitude(const float (&x)[kCount]) {
  float largest = 0;
#pragma unroll
  for (int i = 0; i < kCount; ++i) largest = fmaxf(largest, fabsf(x[i]));
  return largest;
}

/// What numbers up to `largest` are multiplied by to be rounded to int8.
__device__ inline float inverse_scale(float largest) {
  return largest > 0 ? kLargestInt8 / largest : 0;
}

/// A thread's bytes of a row: 16 i + (0 to 15) of them, i from head_dim / 64 thread on. Any order
/// of channels will do that is the same for queries and keys.
template <int kHeadDim>
__device__ void round_quarter(const RowQuarter<kHeadDim>& x, float inverse,
                              uint4 (&bytes)[kHeadDim / 64]) {
#pragma unroll
  for (int unit = 0; unit < kHeadDim / 64; ++unit) {
    std::uint32_t words[4] = {};
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      // A mean of keys may be past them by its own rounding.
      const float y = fminf(fmaxf(x[16 * unit + i] * inverse, -kLargestInt8), kLargestInt8);
      words[i / 4] |= (static_cast<std::uint32_t>(__float2int_rn(y)) & 0xff) << 8 * (i % 4);
    }
    bytes[unit] = make_uint4(words[0], words[1], words[2], words[3]);
  }
}

/// Rounds a query, that of four threads, to `row` and its scale.
template <int kHeadDim>
__device__ void round_query(const __nv_bfloat16* from, bool store, unsigned char* row,
                            float* scale) {
  RowQuarter<kHeadDim> x = {};
  if (from != nullptr) load_quarter<kHeadDim>(from, x);
  rotate<kHeadDim>(x);
  float largest = largest_magnitude(x);
  largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
  largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 2));
  if (!store) return;
  uint4 bytes[kHeadDim / 64];
  round_quarter<kHeadDim>(x, inverse_scale(largest), bytes);
#pragma unroll
  for (int i = 0; i < kHeadDim / 64; ++i)
    reinterpret_cast<uint4*>(row)[kHeadDim / 64 * (threadIdx.x % 4) + i] = bytes[i];
  if (threadIdx.x % 4 == 0) *scale = largest / kLargestInt8;
}

/// Rounds a key, that of four threads, to row `row` of an image.
template <int kHeadDim>
__device__ void store_key(const RowQuarter<kHeadDim>& x, float inverse, unsigned char* image,
                          int row) {
  uint4 bytes[kHeadDim / 64];
  round_quarter<kHeadDim>(x, inverse, bytes);
#pragma unroll
  for (int i = 0; i < kHeadDim / 64; ++i) {
    const int block = kHeadDim / 64 * (threadIdx.x % 4) + i;
    *reinterpret_cast<uint4*>(image + row / 8 * (8 * kHeadDim) + block * 128 + row % 8 * 16) =
        bytes[i];
  }
}

__device__ inline float from_e4m3_byte(std::uint32_t bytes, int which) {
  return __half2float(
      __nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(bytes >> 8 * which), __NV_E4M3));
}

/// What of the values is rounded.
struct ValueScales {
  const float* mean;  // of a head, as the scale
  const float* scale;
};

/// Rounds 16 values to the `atom`-th of an image, by as many threads as pairs of channels:
/// value_at(i) is the pair of value i of 16, of which those with exists(i) exist. Returns what
/// rounding took from the sum of them, in units of the scale.
template <int kHeadDim, class ValueAt, class Exists>
__device__ float2 round_values(ValueAt value_at, Exists exists, const ValueScales& scales, int atom,
                               unsigned char* image) {
  const int pair = static_cast<int>(threadIdx.x) % kThreadsPerValueAtom<kHeadDim>;
  float2 x[kAtomKeys];
#pragma unroll
  for (int i = 0; i < kAtomKeys; ++i) x[i] = value_at(i, pair);
  const float2 mean = reinterpret_cast<const float2*>(scales.mean)[pair];
  const float2 scale = reinterpret_cast<const float2*>(scales.scale)[pair];
  const float2 inverse = make_float2(1 / scale.x, 1 / scale.y);
#pragma unroll
  for (int i = 0; i < kAtomKeys; ++i)
    x[i] = exists(i) ? make_float2((x[i].x - mean.x) * inverse.x, (x[i].y - mean.y) * inverse.y)
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
  if (pair < kSumColumns) {
    std::uint32_t ones[4] = {};
#pragma unroll
    for (int place = 0; place < kAtomKeys; ++place)
      if (pair == atom % kSumColumns && exists(column_of_place(place)))
        ones[place / 4] |= 0x38u << 8 * (place % 4);
    reinterpret_cast<uint4*>(image)[kHeadDim + pair] =
        make_uint4(ones[0], ones[1], ones[2], ones[3]);
  }
  float2 lost = make_float2(0, 0);
#pragma unroll
  for (int i = 0; i < kAtomKeys; ++i) {
    lost.x += x[column_of_place(i)].x - from_e4m3_byte(even[i / 4], i % 4);
    lost.y += x[column_of_place(i)].y - from_e4m3_byte(odd[i / 4], i % 4);
  }
  return lost;
}

/// Adds up what the block's threads return from round_values, to [head_dim] of `out`. The block has
/// 256 threads or more.
template <int kHeadDim>
__device__ void store_lost(float2 lost, float* out) {
  constexpr int kPairs = kThreadsPerValueAtom<kHeadDim>;
  constexpr int kMostAtoms = 1024 / kPairs;
  __shared__ float2 atoms[kMostAtoms][kPairs];
  const int pair = static_cast<int>(threadIdx.x) % kPairs;
  const int count = static_cast<int>(blockDim.x) / kPairs;
  atoms[threadIdx.x / kPairs][pair] = lost;
  __syncthreads();
  if (static_cast<int>(threadIdx.x) >= kPairs) return;
  for (int i = 1; i < count; ++i) {
    lost.x += atoms[i][pair].x;
    lost.y += atoms[i][pair].y;
  }
  reinterpret_cast<float2*>(out)[pair] = lost;
}

}  // namespace sparsevid::ops::cuda
