// The softmax of a warp's rows, one tile of keys after the other.
#pragma once

#include "ops/cuda/common/exp2.h"
#include "ops/cuda/common/mma_sync.h"

namespace sparsevid::ops::cuda {

constexpr float kLog2E = 1.4426950408889634F;
constexpr float kMasked = -INFINITY;

/// The largest, or the sum, over the four lanes that share a row of a fragment.
__device__ inline float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 2));
}
__device__ inline float quad_sum(float value) {
  value += __shfl_xor_sync(0xffffffffU, value, 1);
  return value + __shfl_xor_sync(0xffffffffU, value, 2);
}

/// Row 2 i + h of a lane is row 16 i + 8 h + lane / 4 of its warp.
template <int kRowTiles>
struct FragmentSoftmax {
  /// Weights are 2^(logit - top), where `top` follows the largest logit of its row only when it is
  /// passed by this much: the sums hold 2^8 more without harm, and most tiles need no rescaling.
  static constexpr float kSlack = 8;

  float top[2 * kRowTiles];
  float total[2 * kRowTiles];  ///< of this lane's columns alone

  __device__ FragmentSoftmax() {
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      top[i] = kMasked;
      total[i] = 0;
    }
  }

  /// `logits` times `factor` are in base 2; they become weights. `output` is rescaled to a new top.
  template <int kKeyBlocks, int kOutputBlocks>
  __device__ void weigh(float (&logits)[kRowTiles][kKeyBlocks][4], float factor,
                        float (&output)[kRowTiles][kOutputBlocks][4]) {
    float largest[2 * kRowTiles];
    bool raised = false;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      const auto& row = logits[i / 2];
      const int half = i % 2 * 2;
      float most = fmaxf(row[0][half], row[0][half + 1]);
#pragma unroll
      for (int n = 1; n < kKeyBlocks; ++n)
        most = fmaxf(most, fmaxf(row[n][half], row[n][half + 1]));
      largest[i] = quad_max(most) * factor;
      raised |= largest[i] > top[i] + kSlack;
    }
    if (__any_sync(0xffffffffU, raised)) rescale(largest, output);
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      const float base = top[i] == kMasked ? 0.F : -top[i];
#pragma unroll
      for (int n = 0; n < kKeyBlocks; ++n) {
#pragma unroll
        for (int c = i % 2 * 2; c < i % 2 * 2 + 2; ++c) {
          float& logit = logits[i / 2][n][c];
          logit = exp2_approximate(fmaf(logit, factor, base));
          total[i] += logit;
        }
      }
    }
  }

 private:
  /// What a row does depends on that row alone.
  template <int kOutputBlocks>
  __device__ void rescale(const float (&largest)[2 * kRowTiles],
                          float (&output)[kRowTiles][kOutputBlocks][4]) {
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      const bool raise = largest[i] > top[i] + kSlack;
      const float shrink = raise ? exp2_approximate(top[i] - largest[i]) : 1.F;
      if (raise) top[i] = largest[i];
      total[i] *= shrink;
#pragma unroll
      for (int n = 0; n < kOutputBlocks; ++n) {
        output[i / 2][n][i % 2 * 2] *= shrink;
        output[i / 2][n][i % 2 * 2 + 1] *= shrink;
      }
    }
  }
};

}  // namespace sparsevid::ops::cuda
