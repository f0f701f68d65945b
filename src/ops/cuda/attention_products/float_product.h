// Batched matrix products in f32, by FMA: no tensor cores, no rounding of the factors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/tensor.h"

namespace sparsevid::ops::cuda {

/// Rows of floats, 16-byte aligned: stride and batch_stride are multiples of 4.
struct FloatRows {
  const float* data;
  std::int64_t stride;
  std::int64_t batch_stride;
};

struct FloatProduct {
  FloatRows a;               ///< [batch, rows, depth]
  FloatRows b;               ///< [batch, columns, depth], or [batch, depth, columns]
  bool b_is_deep;            ///< the latter
  TensorView out;            ///< [batch, rows, columns] f32 or bf16, contiguous last axis
  int depth;                 ///< multiple of 4; what a and b hold up to it counts
  const float* row_factors;  ///< [batch, rows], multiply the result; null: 1
};

/// Where b is deep, its rows hold a multiple of 4 readable floats.
void float_product(const FloatProduct& product, cudaStream_t stream);

}  // namespace sparsevid::ops::cuda
