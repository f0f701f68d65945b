// Checks of what a caller hands to an op, before any kernel touches memory.
#pragma once

#include <initializer_list>
#include <string_view>

#include "core/tensor.h"

namespace sparsevid::ops {

inline bool is_float(const TensorView& view) {
  return view.dtype() == DType::f32 || view.dtype() == DType::bf16;
}
/// Undefined, or [size] f32.
inline bool is_optional_vector(const TensorView& view, std::int64_t size) {
  return !view.defined() || (view.dtype() == DType::f32 && view.shape() == Shape{size} &&
                             (size == 1 || view.stride(0) == 1));
}
/// [size] f32.
inline bool is_vector(const TensorView& view, std::int64_t size) {
  return view.defined() && is_optional_vector(view, size);
}
/// [rows, columns] of f32 or bf16 whose rows may be strided.
inline bool is_matrix(const TensorView& view) {
  return view.defined() && view.rank() == 2 && is_float(view) &&
         (view.size(1) <= 1 || view.stride(1) == 1);
}
inline bool same_shape_and_dtype(const TensorView& a, const TensorView& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype();
}

/// Throws Error(internal) that gives the shapes and types of all tensors of the call.
void require_contract(bool holds, std::string_view op, std::initializer_list<TensorView> tensors);

}  // namespace sparsevid::ops
