// Softmax over key tiles as they come: the running maximum, the sum, and when to rescale.
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/cuda/common/exp2.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda {

/// Of the two rows a thread holds of a 64-row tile (wgmma.h has the layout); four neighbouring
/// threads share them. Weights are 2^(logit - reference); the reference follows the maximum only
/// when that has grown by more than 2^8, which rounding does not see and which hardly ever happens
/// after the first tiles, so that the output is hardly ever rescaled.
class OnlineSoftmax {
 public:
  __device__ explicit OnlineSoftmax(float scale_log2) : scale_log2_(scale_log2) {}

  /// The first tile: logits become weights.
  template <int kCount>
  __device__ void start(float (&s)[kCount]) {
    float top[2];
    row_maxima(s, top);
#pragma unroll
    for (int h = 0; h < 2; ++h) reference_[h] = top[h] * scale_log2_;
    sum_[0] = sum_[1] = 0;
    weigh(s);
  }

  /// A later tile; afterwards the output so far must be multiplied by factor() if rescales().
  template <int kCount>
  __device__ void proceed(float (&s)[kCount]) {
    constexpr float kGrowth = 8;
    float top[2];
    row_maxima(s, top);
    bool grown = false;
#pragma unroll
    for (int h = 0; h < 2; ++h) grown |= fmaf(top[h], scale_log2_, -reference_[h]) > kGrowth;
    rescales_ = __any_sync(~0u, grown);
    if (rescales_) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float before = reference_[h];
        reference_[h] = fmaxf(top[h] * scale_log2_, before);
        factor_[h] = exp2_approximate(before - reference_[h]);
        sum_[h] *= factor_[h];
      }
    }
    weigh(s);
  }

  __device__ bool rescales() const { return rescales_; }
  __device__ float factor(int h) const { return factor_[h]; }

  /// What the output of row `h` is multiplied by at the end; all four threads get it.
  __device__ float normaliser(int h) const {
    float sum = sum_[h];
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    return sum == 0 ? 0 : 1 / sum;
  }

 private:
  template <int kCount>
  __device__ static void row_maxima(const float (&s)[kCount], float (&top)[2]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float even = s[2 * h];
      float odd = s[2 * h + 1];
#pragma unroll
      for (int i = 4 + 2 * h; i < kCount; i += 4) {
        even = fmaxf(even, s[i]);
        odd = fmaxf(odd, s[i + 1]);
      }
      top[h] = fmaxf(even, odd);
      top[h] = fmaxf(top[h], __shfl_xor_sync(~0u, top[h], 1));
      top[h] = fmaxf(top[h], __shfl_xor_sync(~0u, top[h], 2));
    }
  }

  template <int kCount>
  __device__ void weigh(float (&s)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i)
      s[i] = exp2_approximate(fmaf(s[i], scale_log2_, -reference_[i / 2 % 2]));
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum_[i / 2 % 2] += s[i];
  }

  float scale_log2_;
  float reference_[2];  // in powers of two, scale included
  float sum_[2];        // of this thread's columns
  float factor_[2];
  bool rescales_ = false;
};

}  // namespace sparsevid::ops::cuda
