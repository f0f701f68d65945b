// One element of a tensor as a double, whatever its type: slow, and plain to see.
#pragma once

#include <cassert>
#include <cstdint>

#include "core/tensor.h"

namespace sparsevid::ops::ref {

/// The element `offset` elements behind the start of the view's memory.
inline double load(const TensorView& view, std::int64_t offset) {
  switch (view.dtype()) {
    case DType::f64:
      return view.as<double>()[offset];
    case DType::f32:
      return view.as<float>()[offset];
    case DType::f16:
      return static_cast<float>(view.as<f16>()[offset]);
    case DType::bf16:
      return static_cast<float>(view.as<bf16>()[offset]);
    case DType::i64:
      return static_cast<double>(view.as<std::int64_t>()[offset]);
    case DType::i32:
      return view.as<std::int32_t>()[offset];
    case DType::u8:
      return view.as<std::uint8_t>()[offset];
  }
  return 0;
}

/// Rounds to the type of the view, one of f64, f32 and bf16.
inline void store(const TensorView& view, std::int64_t offset, double value) {
  if (view.dtype() == DType::f64) {
    view.as<double>()[offset] = value;
  } else if (view.dtype() == DType::f32) {
    view.as<float>()[offset] = static_cast<float>(value);
  } else {
    assert(view.dtype() == DType::bf16);
    view.as<bf16>()[offset] = bf16(static_cast<float>(value));
  }
}

/// Element (row, column) of a matrix.
inline double load(const TensorView& view, std::int64_t row, std::int64_t column) {
  return load(view, row * view.stride(0) + column * view.stride(1));
}
inline void store(const TensorView& view, std::int64_t row, std::int64_t column, double value) {
  store(view, row * view.stride(0) + column * view.stride(1), value);
}

}  // namespace sparsevid::ops::ref
