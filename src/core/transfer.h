// Tensors from one device to another.
#pragma once

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

/// Copies contiguous memory of one shape and type, in the order of the context's stream. Host
/// memory that is read may be changed on return; host memory that is written has arrived.
void transfer(const TensorView& from, const TensorView& to, const Context& context);
/// A contiguous copy of a contiguous view on `device`.
Tensor copy_to(Device device, const TensorView& view, const Context& context);
/// The tensor itself where it lies on `device`, else a copy there.
Tensor moved_to(Device device, Tensor tensor, const Context& context);
/// The contiguous view itself where it lies on `device`, else a copy there, which `memory` owns.
TensorView view_on(Device device, const TensorView& view, Tensor& memory, const Context& context);
/// Fills a contiguous view with zero bytes.
void clear(const TensorView& view, const Context& context);

}  // namespace sparsevid
