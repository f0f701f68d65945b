// Batched matrix products of bf16 with f32 sums, by mma.sync.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/tensor.h"

namespace sparsevid::ops::cuda {

struct Bf16Product {
  TensorView a;              ///< [batch, rows, depth] bf16, rows aligned to 16 bytes
  TensorView b;              ///< [batch, columns, depth], or [batch, depth, columns], likewise
  bool b_is_deep;            ///< the latter
  TensorView out;            ///< [batch, rows, columns] f32 or bf16, contiguous last axis
  const float* row_factors;  ///< [batch, rows], multiply the result; null: 1
};
/// The last axes of a and b are read in whole chunks of 8: where their sizes are no multiples, what
/// follows must be readable and, for the depth, zeros in a (and finite in b).

void bf16_product(const Bf16Product& product, cudaStream_t stream);

}  // namespace sparsevid::ops::cuda
