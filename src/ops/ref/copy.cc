#include "ops/ref/copy.h"

#include <cstddef>
#include <cstring>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void copy(const CopyParams& params, Context&) {
  const auto& [x, out] = params;
  for (std::int64_t index = 0; index < x.numel(); ++index) {
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t rest = index;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      from += rest % x.size(axis) * x.stride(axis);
      to += rest % x.size(axis) * out.stride(axis);
      rest /= x.size(axis);
    }
    if (x.dtype() == out.dtype()) {
      const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
      std::memcpy(static_cast<std::byte*>(out.data()) + to * size,
                  static_cast<const std::byte*>(x.data()) + from * size, size_of(x.dtype()));
    } else {
      store(out, to, load(x, from));
    }
  }
}

}  // namespace sparsevid::ops::ref
