// How elementwise work is cut for threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/parallel.h"
#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid::ops::cpu {

/// Elements in a piece that keeps a thread busy for some ten microseconds.
constexpr std::int64_t kPieceElements = 32768;

/// Calls body(begin, rows) for groups of whole rows of `row_elements` elements.
template <typename Body>
void for_row_pieces(const Context& context, std::int64_t rows, std::int64_t row_elements,
                    const Body& body) {
  const std::int64_t grain = kPieceElements / std::max<std::int64_t>(row_elements, 1);
  parallel_for(context.threads, rows, grain,
               [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
}

/// The address of element `index` of contiguous memory, or of row `index` times its stride.
inline std::byte* address(const TensorView& view, std::int64_t index) {
  return static_cast<std::byte*>(view.data()) +
         index * static_cast<std::int64_t>(size_of(view.dtype()));
}
/// The same of an optional tensor: null when it is undefined.
inline std::byte* optional_address(const TensorView& view, std::int64_t index) {
  return view.defined() ? address(view, index) : nullptr;
}
/// The values of a vector that may be undefined: null then.
inline const float* optional_floats(const TensorView& view) {
  return view.defined() ? view.as<float>() : nullptr;
}

}  // namespace sparsevid::ops::cpu
