// Rounding rows of queries, keys and values to 8 bits, and where their bytes lie (tile.h).
//
// What is rounded is not what came in, but equivalent to it:
//   keys less their mean, which adds the same to all logits of a query, so softmax does not see it;
//   queries and keys with signs of channels flipped and a Hadamard transform over the channels, the
//     same for both, so that their products stay: a channel with large values is spread over all,
//     and int8 loses little;
//   values less their mean, which is added to the output again, as weights sum to 1.
// A warp takes 16 queries or keys. A thread has two channels of 16 values, which is what lies
// together in the image.
#pragma once

#include <cuda_fp8.h>

#include "ops/cuda/attention_hopper_8bit/tile.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/mma_sync.h"

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

/// Threads that round 16 values.
constexpr int threads_per_value_atom(int head_dim) { return head_dim / 2; }

/// Sixteen rows of queries or keys in a warp: of rows lane / 4 and lane / 4 + 8 the bytes to be
/// from head_dim / 4 (lane % 4) on.
template <int kHeadDim>
using RotatedRows = float[2][kHeadDim / 4];

/// The transform of 16 rows by a warp; not normalised, so it makes products head_dim times as
/// large. Any order of channels will do that is the same for queries and keys, before it and after
/// it. 16 channels are transformed by the tensor cores, exactly, as rows are bf16 and the matrix is
/// of 1 and -1; then each thread has what remains to be added up.
template <int kHeadDim>
class Rotation {
 public:
  __device__ Rotation() {
    constexpr std::uint32_t kFlipped = 0x9e37;  // channels: any fixed choice without structure
    const int lane = threadIdx.x % 32;
    const auto element = [&](int channel, int column) {
      const bool negative = (__popc(channel & column) + (kFlipped >> channel)) & 1;
      return negative ? 0xbf80u : 0x3f80u;  // bf16
    };
#pragma unroll
    for (int block = 0; block < 2; ++block)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int channel = lane % 4 * 2 + 8 * half;
        const int column = lane / 4 + 8 * block;
        matrix_[block][half] = element(channel, column) | element(channel + 1, column) << 16;
      }
  }

  /// load(h, i): channels 8 i to 8 i + 7 of this thread's row h.
  template <class Load>
  __device__ void operator()(Load load, RotatedRows<kHeadDim>& x) const {
#pragma unroll
    for (int part = 0; part < kHeadDim / 32; ++part) {
      const int at = 4 * part + threadIdx.x % 4;
      const uint4 rows[2] = {load(0, at), load(1, at)};
      const unsigned channels[2][4] = {{rows[0].x, rows[1].x, rows[0].y, rows[1].y},
                                       {rows[0].z, rows[1].z, rows[0].w, rows[1].w}};
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int block = 0; block < 2; ++block) {
          float sums[4] = {};
          mma_bf16(sums, channels[half], matrix_[block][0], matrix_[block][1]);
#pragma unroll
          for (int i = 0; i < 4; ++i) x[i / 2][8 * part + 4 * half + 2 * block + i % 2] = sums[i];
        }
    }
    constexpr std::uint32_t kFlipped = 0x7f4a7c15;
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int i = 0; i < kHeadDim / 4; ++i)
        if (kFlipped >> i & 1) x[h][i] = -x[h][i];
#pragma unroll
    for (int distance = 4; distance < kHeadDim / 4; distance *= 2)
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int i = 0; i < kHeadDim / 4; ++i) {
          if (i & distance) continue;
          const float sum = x[h][i] + x[h][i + distance];
          x[h][i + distance] = x[h][i] - x[h][i + distance];
          x[h][i] = sum;
        }
  }

 private:
  unsigned matrix_[2][2];
};

/// Sixteen rows of bf16, this thread's two at `rows`, or zeros where that is null.
template <int kHeadDim>
__device__ void load_rotated(const Rotation<kHeadDim>& rotation,
                             const __nv_bfloat16* const (&rows)[2], RotatedRows<kHeadDim>& x) {
  rotation(
      [&](int h, int i) {
        return rows[h] == nullptr ? uint4{} : reinterpret_cast<const uint4*>(rows[h])[i];
      },
      x);
}

/// The same of keys, less their mean, which is rotated.
template <int kHeadDim>
__device__ void load_keys(const Rotation<kHeadDim>& rotation, const __nv_bfloat16* const (&rows)[2],
                          const float* rotated_mean, RotatedRows<kHeadDim>& x) {
  load_rotated<kHeadDim>(rotation, rows, x);
  float mean[kHeadDim / 4];
  load_floats(rotated_mean + kHeadDim / 4 * (threadIdx.x % 4), mean);
#pragma unroll
  for (int h = 0; h < 2; ++h)
#pragma unroll
    for (int i = 0; i < kHeadDim / 4; ++i) x[h][i] -= mean[i];
}

template <int kCount>
__device__ float largest_magnitude(const float (&x)[kCount]) {
  float largest = 0;
#pragma unroll
  for (int i = 0; i < kCount; ++i) largest = fmaxf(largest, fabsf(x[i]));
  return largest;
}

/// Of the lanes whose numbers differ in `lanes` only.
__device__ inline float largest_of_lanes(float largest, int lanes) {
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2)
    if (lanes & distance) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, distance));
  return largest;
}

/// What numbers up to `largest` are multiplied by to be rounded to int8.
__device__ inline float inverse_scale(float largest) {
  return largest > 0 ? kLargestInt8 / largest : 0;
}

/// The bytes of a thread's part of a row.
template <int kHeadDim>
__device__ void round_row(const float (&x)[kHeadDim / 4], float inverse,
                          uint4 (&bytes)[kHeadDim / 64]) {
  constexpr float kRounder = 12582912;  // 1.5 2^23: the sum's lowest bits are x rounded
#pragma unroll
  for (int unit = 0; unit < kHeadDim / 64; ++unit) {
    std::uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      std::uint32_t y[4];
#pragma unroll
      for (int j = 0; j < 4; ++j)
        y[j] = __float_as_uint(fmaf(x[16 * unit + 4 * i + j], inverse, kRounder));
      words[i] =
          __byte_perm(__byte_perm(y[0], y[1], 0x0040), __byte_perm(y[2], y[3], 0x0040), 0x5410);
    }
    bytes[unit] = make_uint4(words[0], words[1], words[2], words[3]);
  }
}

/// A thread's part of a query to `row`.
template <int kHeadDim>
__device__ void store_query(const float (&x)[kHeadDim / 4], float inverse, unsigned char* row) {
  uint4 bytes[kHeadDim / 64];
  round_row<kHeadDim>(x, inverse, bytes);
#pragma unroll
  for (int i = 0; i < kHeadDim / 64; ++i)
    reinterpret_cast<uint4*>(row)[kHeadDim / 64 * (threadIdx.x % 4) + i] = bytes[i];
}

/// Sixteen keys to an atom.
template <int kHeadDim>
__device__ void store_keys(const RotatedRows<kHeadDim>& x, float inverse, unsigned char* atom) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    uint4 bytes[kHeadDim / 64];
    round_row<kHeadDim>(x[h], inverse, bytes);
#pragma unroll
    for (int i = 0; i < kHeadDim / 64; ++i) {
      const int block = kHeadDim / 64 * (lane % 4) + i;
      *reinterpret_cast<uint4*>(atom + h * 8 * kHeadDim + block * 128 + lane / 4 * 16) = bytes[i];
    }
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
  const int pair = static_cast<int>(threadIdx.x) % threads_per_value_atom(kHeadDim);
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
  constexpr int kPairs = threads_per_value_atom(kHeadDim);
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
