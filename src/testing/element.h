// One element of any tensor.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace sparsevid {

/// The element at row-major position `index` of any view, whatever its type and strides.
double element(const TensorView& view, std::int64_t index);

}  // namespace sparsevid
