// What both kernels of attention to few keys take, and their biases.
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>

#include <cmath>
#include <cstdint>

namespace sparsevid::ops::cuda::few_keys {

constexpr int kHeadDim = 128;
constexpr int kRows = 64;  // queries of a warpgroup's tile
constexpr int kMostKeys = 512;

struct Problem {
  CUtensorMap q;  // boxes of kRows rows, all columns
  CUtensorMap k;  // boxes of a tile of keys
  CUtensorMap v;
  CUtensorMap out;  // as q
  __nv_bfloat16* out_data;
  std::int64_t out_head_stride, out_row_stride;
  const float* key_bias;  // null: 0
  std::int64_t key_bias_stride;
  int q_len, k_len, heads;
  float scale_log2;
  float inverse_scale;
};

/// In shared memory: what is added to the logits of each key before they are scaled.
template <int kTiles, int kKeys>
struct KeyBiases {
  // Finite, so that a tile without a key leaves no NaN; below it nothing is left beside any key.
  static constexpr float kMasked = -1e30F;

  float bias[kTiles * kKeys];
  int tile_has_any[kTiles];
  int some_key_counts;  // 0: all are masked, and the output is 0

  /// By all threads of the block; a barrier must follow.
  __device__ void prepare(const Problem& p, int tiles) {
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    if (thread < kTiles) tile_has_any[thread] = 0;
    if (thread == 0) some_key_counts = 0;
    __syncthreads();
    for (int key = thread; key < tiles * kKeys; key += threads) {
      float value = kMasked;
      if (key < p.k_len) {
        const float given = p.key_bias == nullptr ? 0 : p.key_bias[key * p.key_bias_stride];
        if (given > -INFINITY) {
          value = fmaxf(given * p.inverse_scale, kMasked);
          some_key_counts = 1;
        }
      }
      bias[key] = value;
      if (value != 0) tile_has_any[key / kKeys] = 1;
    }
  }

  /// Adds those of a tile to a warpgroup's logits.
  __device__ void add(int tile, float (&s)[kKeys / 2]) const {
    if (tile_has_any[tile] == 0) return;
    const float* const first = bias + tile * kKeys + 2 * (threadIdx.x % 4);
#pragma unroll
    for (int j = 0; j < kKeys / 8; ++j) {
      const float2 pair = *reinterpret_cast<const float2*>(first + 8 * j);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        s[4 * j + 2 * h] += pair.x;
        s[4 * j + 2 * h + 1] += pair.y;
      }
    }
  }
};

}  // namespace sparsevid::ops::cuda::few_keys
