// What is left of a linear layer when a library has made the sums.
#pragma once

#include "ops/linear.h"

namespace sparsevid::ops::cuda {

/// out = activation(sums + bias); sums [rows, columns] f32, and may be out.
void linear_finish(const TensorView& sums, const TensorView& bias, Activation activation,
                   const TensorView& out, Context& context);
/// The whole layer, one sum a thread: for what no library takes.
void linear_plain(const LinearParams& params, Context& context);

}  // namespace sparsevid::ops::cuda
