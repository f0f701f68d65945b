// Dense attention as its kernels take it.
#pragma once

#include "ops/cuda/attention_mma/head_rows.h"

namespace sparsevid::ops::cuda {

struct DenseProblem {
  HeadTileRows q, k, v, out;
  int q_len, k_len, head_dim;
  float scale;
  const float* bias;  ///< of [head, query, key]; may be null
  std::int64_t bias_strides[3];
  const float* key_bias;  ///< may be null
  std::int64_t key_bias_stride;
};

/// Up to this many keys, and without `bias`, attend_few_keys is the faster one.
constexpr int kMostFewKeys = 576;
void attend_few_keys(const DenseProblem& problem, std::int64_t heads, cudaStream_t stream);

}  // namespace sparsevid::ops::cuda
