// What the attention ops ask of their tensors.
#pragma once

#include "ops/dispatch/contract.h"

namespace sparsevid::ops {

/// [heads, rows, head_dim] of f32 or bf16, any strides but a contiguous last axis.
inline bool is_head_rows(const TensorView& view) {
  return view.defined() && view.rank() == 3 && is_float(view) &&
         (view.size(2) <= 1 || view.stride(2) == 1);
}

/// One kind of keys and values for all heads of the queries, and room for the result.
inline bool is_attention(const TensorView& q, const TensorView& k, const TensorView& v,
                         const TensorView& out) {
  return is_head_rows(q) && is_head_rows(k) && is_head_rows(v) && is_head_rows(out) &&
         same_shape_and_dtype(q, out) && same_shape_and_dtype(k, v) && k.dtype() == q.dtype() &&
         k.size(0) == q.size(0) && k.size(2) == q.size(2);
}

}  // namespace sparsevid::ops
