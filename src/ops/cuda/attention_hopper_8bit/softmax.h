// Softmax over tiles of integer logits as they come, with weights for e4m3. The logits come as the
// bits of floats (kLogitOrigin), which takes a conversion of each from the busiest pipes, and lets
// the exponentials begin evenly instead of after all conversions.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/cuda/attention_hopper/online_softmax.h"
#include "ops/cuda/attention_hopper_8bit/tile.h"

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

  /// What the products of a tile are added to.
  template <int kCount>
  __device__ static void begin_logits(int (&s)[kCount]) {
#pragma unroll
    for (int& x : s) x = __float_as_int(kLogitOrigin);
  }

  /// The same with a bias of each column, in global memory and powers of 2, rounded to integer
  /// logits: with scales of at least kLeastScale. Those of minus infinity become less than any
  /// logit by far. (With products of the least size they leave the range in which bits and floats
  /// are the same, but not their order.)
  template <int kCount>
  __device__ void begin_logits(int (&s)[kCount], float key_scale, const float* bias) const {
    constexpr float kLeast = kLogitOrigin - 4e6F;
    bias += 2 * (threadIdx.x % 4);
    const float inverse[2] = {1 / (scale_[0] * key_scale), 1 / (scale_[1] * key_scale)};
#pragma unroll
    for (int i = 0; i < kCount; i += 4) {
      const float2 b = __ldg(reinterpret_cast<const float2*>(bias + 2 * i));
#pragma unroll
      for (int j = 0; j < 4; ++j)
        s[i + j] = __float_as_int(
            fmaxf(fmaf(j % 2 == 0 ? b.x : b.y, inverse[j / 2], kLogitOrigin), kLeast));
    }
  }

  /// The first tile: logits become the bits of float weights.
  template <int kCount>
  __device__ void start(int (&s)[kCount], float key_scale) {
    float top[2];
    row_maxima(s, top);
#pragma unroll
    for (int h = 0; h < 2; ++h) reference_[h] = of_row(top[h] * (scale_[h] * key_scale));
    weigh(s, key_scale);
  }

  /// A later tile; afterwards the sums so far must be multiplied by factor() if rescales().
  template <int kCount>
  __device__ void proceed(int (&s)[kCount], float key_scale) {
    constexpr float kGrowth = 0.75F;
    float top[2];
    row_maxima(s, top);
    bool grown = false;
#pragma unroll
    for (int h = 0; h < 2; ++h)
      grown |= fmaf(top[h], scale_[h] * key_scale, -reference_[h]) > kGrowth;
    rescales_ = __any_sync(~0u, grown);
    if (rescales_) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float before = reference_[h];
        reference_[h] = fmaxf(of_row(top[h] * (scale_[h] * key_scale)), before);
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

  /// Of this thread's columns. Bits of positive floats are in the order of the floats.
  template <int kCount>
  __device__ static void row_maxima(const int (&s)[kCount], float (&top)[2]) {
    int most[4];  // chains of their own, as one alone would wait for itself at every step
#pragma unroll
    for (int chain = 0; chain < 4; ++chain) most[chain] = max(s[2 * chain], s[2 * chain + 1]);
#pragma unroll
    for (int i = 8; i < kCount; i += 8)
#pragma unroll
      for (int chain = 0; chain < 4; ++chain)
        most[chain] = __vimax3_s32(most[chain], s[i + 2 * chain], s[i + 2 * chain + 1]);
#pragma unroll
    for (int h = 0; h < 2; ++h) top[h] = __int_as_float(max(most[h], most[2 + h])) - kLogitOrigin;
  }

  template <int kCount>
  __device__ void weigh(int (&s)[kCount], float key_scale) {
    const float scale[2] = {scale_[0] * key_scale, scale_[1] * key_scale};
    // Off by an integer logit at the most, all weights of a row by the same.
    const float shift[2] = {fmaf(-kLogitOrigin, scale[0], kRange - reference_[0]),
                            fmaf(-kLogitOrigin, scale[1], kRange - reference_[1])};
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int h = i / 2 % 2;
      const float x = fmaf(__int_as_float(s[i]), scale[h], shift[h]);
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
