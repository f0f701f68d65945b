// What a step of the convolution multiplies: a step holds rows of 128 bytes, one for each pixel and
// one for each column, and its products take pieces of 32 bytes of them.
#pragma once

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/wgmma.h"

namespace sparsevid::ops::cuda::conv {

struct PiecePair {
  int pixels, weights;
};

/// Rows of the channels as they are.
struct PlainRows {
  static constexpr int kPlaces = 1;  ///< elements of a row for each channel
  static constexpr int kProducts = 4;
  static constexpr PiecePair pieces(int product) { return {product, product}; }
};

/// bf16: 64 channels a step.
struct Bf16Factors : PlainRows {
  using Out = device_bf16;
  static constexpr int kDepth = 64;
  static constexpr int kHalfProducts = 2;  ///< enough where the channels end in the first half
  template <int kSums>
  __device__ static void multiply(float (&sums)[kSums], std::uint64_t pixels, std::uint64_t weights,
                                  bool add) {
    wgmma_bf16(sums, pixels, weights, add);
  }
};

/// f32, rounded to tf32 by the copies into shared memory: 32 channels a step. Whole steps alone:
/// the widths there are end with one, and a loop without a branch needs fewer waits.
struct Tf32Factors : PlainRows {
  using Out = float;
  static constexpr int kDepth = 32;
  static constexpr int kHalfProducts = 4;  // channels that are not there are zeros
  template <int kSums>
  __device__ static void multiply(float (&sums)[kSums], std::uint64_t pixels, std::uint64_t weights,
                                  bool add) {
    wgmma_tf32(sums, pixels, weights, add);
  }
};

/// f32 as two bf16: a row is the upper halves of 32 channels, then their lower halves. Upper times
/// upper, upper times lower, lower times upper: half as many products again as bf16 makes of the
/// same bytes.
struct Bf16x3Factors {
  using Out = float;
  static constexpr int kDepth = 32;
  static constexpr int kPlaces = 2;
  static constexpr int kProducts = 6;
  static constexpr int kHalfProducts = 6;  // channels come in whole steps
  static constexpr PiecePair pieces(int product) {
    constexpr PiecePair kPieces[kProducts] = {{0, 0}, {1, 1}, {0, 2}, {1, 3}, {2, 0}, {3, 1}};
    return kPieces[product];
  }
  template <int kSums>
  __device__ static void multiply(float (&sums)[kSums], std::uint64_t pixels, std::uint64_t weights,
                                  bool add) {
    wgmma_bf16(sums, pixels, weights, add);
  }
};

}  // namespace sparsevid::ops::cuda::conv
