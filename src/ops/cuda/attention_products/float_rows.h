// Copies of rows as f32, aligned and padded, for float_product.
#pragma once

#include "ops/cuda/attention_products/float_product.h"

namespace sparsevid::ops::cuda {

/// to[head, first + i] = from[head, i], with zeros up to the stride of `to`; f32 or bf16, any
/// strides but a contiguous last axis. `from` may be undefined: `count` rows of zeros.
void copy_rows(const TensorView& from, std::int64_t heads, std::int64_t count, float* to,
               const FloatRows& shape, std::int64_t first, cudaStream_t stream);

}  // namespace sparsevid::ops::cuda
