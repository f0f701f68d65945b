// Softmax over tiles of integer logits as they come, with weights for e4m3.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/cuda/attention_hopper/online_softmax.h"

namespace sparsevid::ops::cuda {

/// 2^x without the special function unit, relative error below 2e-3, which is little beside the
/// rounding to e4m3; 2^-20 for anything below.
__device__ inline float exp2_polynomial(float x) {
  constexpr float kRounder = 12582912;  // 1.5 2^23: the sum's lowest bits are x rounded
  x = fmaxf(x, -20);
  const float rounded = x + kRounder;
  const float rest = x - (rounded - kRounder);
  // Least largest relative error on [-1/2, 1/2].
  const float y = fmaf(fmaf(0.2384281F, rest, 0.7034502F), rest, 1.0004434F);
  return __int_as_float(__float_as_int(y) + (__float_as_int(rounded) << 23));
}

/// Of the two rows a thread holds of a 64-row tile; four neighbouring threads share them. Weights
/// are 2^(logit - reference + 8), at most 448, the largest e4m3: the reference follows the maximum
/// when that has grown by more than kGrowth. Weights below 2^-18 of the largest become 0.
template <int kPolynomialsOf16>
class Softmax8 {
 public:
  /// `scale`: of each row, for logits in powers of 2.
  __device__ explicit Softmax8(float scale_0, float scale_1) : scale_{scale_0, scale_1} {}

  /// Adds a bias of each column, in powers of 2, as integer logits: with scales of at least
  /// kLeastScale. Those of minus infinity become less than any logit by far.
  template <int kCount>
  __device__ void add_bias(int (&s)[kCount], float key_scale, const float* bias) const {
    constexpr float kRounder = 12582912;  // 1.5 2^23: the sum's lowest bits are x rounded
    constexpr float kLeast = kRounder - 4e6F;
    bias += 2 * (threadIdx.x % 4);
    const float inverse[2] = {1 / (scale_[0] * key_scale), 1 / (scale_[1] * key_scale)};
#pragma unroll
    for (int i = 0; i < kCount; i += 4) {
      const float2 b = *reinterpret_cast<const float2*>(bias + 2 * i);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float sum = fmaf(j % 2 == 0 ? b.x : b.y, inverse[j / 2], kRounder);
        s[i + j] += __float_as_int(fmaxf(sum, kLeast)) - __float_as_int(kRounder);
      }
    }
  }

  /// The first tile: integer logits become the bits of float weights.
  template <int kCount>
  __device__ void start(int (&s)[kCount], float key_scale) {
    int top[2];
    row_maxima(s, top);
#pragma unroll
    for (int h = 0; h < 2; ++h)
      reference_[h] = of_row(static_cast<float>(top[h]) * (scale_[h] * key_scale));
    weigh(s, key_scale);
  }

  /// A later tile; afterwards the sums so far must be multiplied by factor() if rescales().
  template <int kCount>
  __device__ void proceed(int (&s)[kCount], float key_scale) {
    constexpr float kGrowth = 0.75F;
    int top[2];
    row_maxima(s, top);
    bool grown = false;
#pragma unroll
    for (int h = 0; h < 2; ++h)
      grown |= fmaf(static_cast<float>(top[h]), scale_[h] * key_scale, -reference_[h]) > kGrowth;
    rescales_ = __any_sync(~0u, grown);
    if (rescales_) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float before = reference_[h];
        reference_[h] = fmaxf(of_row(static_cast<float>(top[h]) * (scale_[h] * key_scale)), before);
        factor_[h] = exp2_approximate(before - reference_[h]);
      }
    }
    weigh(s, key_scale);
  }

  __device__ bool rescales() const { return rescales_; }
  __device__ float factor(int h) const { return factor_[h]; }
  __device__ float reference(int h) const { return reference_[h]; }

 private:
  static constexpr float kRange = 8;

  /// The largest of the four threads of a row.
  __device__ static float of_row(float x) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
    return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
  }

  /// Of this thread's columns.
  template <int kCount>
  __device__ static void row_maxima(const int (&s)[kCount], int (&top)[2]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      int first = max(s[2 * h], s[2 * h + 1]);
      int second = max(s[2 * h + 4], s[2 * h + 5]);
#pragma unroll
      for (int i = 8 + 2 * h; i < kCount; i += 8) {
        first = __vimax3_s32(first, s[i], s[i + 1]);
        second = __vimax3_s32(second, s[i + 4], s[i + 5]);
      }
      top[h] = max(first, second);
    }
  }

  template <int kCount>
  __device__ void weigh(int (&s)[kCount], float key_scale) {
    const float scale[2] = {scale_[0] * key_scale, scale_[1] * key_scale};
    const float shift[2] = {kRange - reference_[0], kRange - reference_[1]};
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int h = i / 2 % 2;
      const float x = fmaf(static_cast<float>(s[i]), scale[h], shift[h]);
      // Spread evenly over the columns.
      const int column = i / 4 * 2 + i % 2;
      const bool polynomial = (column + 1) * kPolynomialsOf16 / 16 > column * kPolynomialsOf16 / 16;
      s[i] = __float_as_int(polynomial ? exp2_polynomial(x) : exp2_approximate(x));
    }
  }

  float scale_[2];
  float reference_[2];  // in powers of two, scale included
  float factor_[2];
  bool rescales_ = false;
};

}  // namespace sparsevid::ops::cuda
