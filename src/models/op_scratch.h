// Scratch that ops take on a GPU, for memory plans.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace sparsevid {

/// What the matrix library works in.
constexpr std::size_t kLinearScratchBytes = std::size_t{32} << 20;
/// Vectors and tables beside large tensors, and what aligning each of them takes.
constexpr std::size_t kSmallScratchBytes = std::size_t{1} << 20;

/// Attention by matrix products, which is what f32 and heads wider than 128 get: logits of some
/// rows at a time, and in f32 copies of what is multiplied, in bf16 the weights.
inline std::size_t product_attention_scratch(std::int64_t heads, std::int64_t tokens,
                                             std::int64_t width, DType dtype) {
  constexpr std::int64_t kLogits = std::int64_t{64} << 20;
  const std::int64_t rows = std::max<std::int64_t>(kLogits / tokens, 128);
  const std::int64_t heads_at_once = std::clamp<std::int64_t>(rows / tokens, 1, heads);
  const std::int64_t rows_at_once = std::min(rows, tokens);
  const std::int64_t floats =
      heads_at_once * (dtype == DType::bf16 ? rows_at_once * (tokens + tokens / 2)
                                            : rows_at_once * (tokens + width) + 2 * tokens * width);
  return static_cast<std::size_t>(floats) * sizeof(float) + kLinearScratchBytes;
}

}  // namespace sparsevid
