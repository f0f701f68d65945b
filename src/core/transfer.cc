#include "core/transfer.h"

namespace sparsevid {

void transfer(const TensorView& from, const TensorView& to, const Context& context) {
  assert(from.contiguous() && to.contiguous() && from.shape() == to.shape() &&
         from.dtype() == to.dtype());
  copy_memory(to.data(), to.device(), from.data(), from.device(), from.bytes(), context.stream);
}

Tensor copy_to(Device device, const TensorView& view, const Context& context) {
  Tensor copy(view.dtype(), view.shape(), device);
  transfer(view, copy, context);
  return copy;
}

void clear(const TensorView& view, const Context& context) {
  assert(view.contiguous());
  clear_memory(view.data(), view.device(), view.bytes(), context.stream);
}

}  // namespace sparsevid
