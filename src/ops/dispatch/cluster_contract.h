// Checks shared by the ops on clusters.
#pragma once

#include "core/tensor.h"
#include "ops/dispatch/contract.h"

namespace sparsevid::ops {

/// [heads, rows, head_dim] f32 or bf16 with a contiguous last axis.
inline bool is_heads_of_rows(const TensorView& view) {
  return view.defined() && view.rank() == 3 && is_float(view) &&
         (view.size(2) <= 1 || view.stride(2) == 1);
}
/// [heads, length] i32 with contiguous rows.
inline bool is_index_rows(const TensorView& view, std::int64_t heads, std::int64_t length) {
  return view.defined() && view.dtype() == DType::i32 && view.shape() == Shape{heads, length} &&
         (length <= 1 || view.stride(1) == 1);
}
/// [heads, rows, columns] f32 whose heads may be strided but not their rows.
inline bool is_f32_per_head(const TensorView& view, std::int64_t heads, std::int64_t rows,
                            std::int64_t columns) {
  return view.defined() && view.dtype() == DType::f32 &&
         view.shape() == Shape{heads, rows, columns} && (columns <= 1 || view.stride(2) == 1) &&
         (rows <= 1 || view.stride(1) == columns);
}

}  // namespace sparsevid::ops
