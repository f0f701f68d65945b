// Tensors whose first axis are heads, as kernels take them.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/tensor.h"

namespace sparsevid::ops::cuda {

template <typename T>
struct PerHead {
  T* data;              // null: there is none
  std::int64_t stride;  // of heads

  __device__ T* of(std::int64_t head) const { return data + head * stride; }
};

/// `view` may be undefined.
template <typename T>
PerHead<T> per_head(const TensorView& view) {
  if (!view.defined()) return {nullptr, 0};
  return {view.as<std::remove_const_t<T>>(), view.stride(0)};
}

}  // namespace sparsevid::ops::cuda
