#include "core/transfer.h"

#include <utility>

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

Tensor moved_to(Device device, Tensor tensor, const Context& context) {
  return tensor->device() == device ? std::move(tensor) : copy_to(device, tensor, context);
}

TensorView view_on(Device device, const TensorView& view, Tensor& memory, const Context& context) {
  if (view.device() == device) return view;
  memory = copy_to(device, view, context);
  return memory;
}

void clear(const TensorView& view, const Context& context) {
  assert(view.contiguous());
  clear_memory(view.data(), view.device(), view.bytes(), context.stream);
}

}  // namespace sparsevid
