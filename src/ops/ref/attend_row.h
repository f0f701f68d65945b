// Softmax attention of one query over any list of keys, in fp64: the statement that every attention
// op of this folder is written in.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace sparsevid::ops::ref {

/// One key that a query sees: where its row and its value's row begin, and what is added to its
/// scaled logit.
struct SeenKey {
  TensorView key;    ///< [head_dim] f32 or bf16, contiguous
  TensorView value;  ///< [head_dim] f32 or bf16, contiguous
  double bias = 0;
};

/// out = sum softmax(scale query . key + bias) value. Zeros if no key has a bias above -inf.
void attend_row(const TensorView& query, const std::vector<SeenKey>& keys, double scale,
                const TensorView& out);

}  // namespace sparsevid::ops::ref
