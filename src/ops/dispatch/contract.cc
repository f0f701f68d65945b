#include "ops/dispatch/contract.h"

#include <string>

#include "base/error.h"

namespace sparsevid::ops {

void require_contract(bool holds, std::string_view op, std::initializer_list<TensorView> tensors) {
  if (holds) return;
  std::string found;
  for (const auto& view : tensors) {
    if (!found.empty()) found += ", ";
    found += view.defined() ? fmt::format("{} {}", to_string(view.dtype()), view.shape().str())
                            : std::string("undefined");
  }
  fail(ErrorKind::internal, "{}: tensors outside the contract of the op: {}", op, found);
}

}  // namespace sparsevid::ops
