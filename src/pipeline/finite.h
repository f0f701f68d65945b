// Whether numbers are still numbers: what is broken in a checkpoint, or grows out of range, ends as
// NaN or infinity.
#pragma once

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

/// Whether all values of a contiguous f32 or bf16 tensor on the CPU are finite.
bool all_finite(const TensorView& on_cpu, int threads);

/// The same of a contiguous f32 tensor wherever it lies; from a GPU only folded() is copied. Waits.
bool all_finite_anywhere(const TensorView& values, Context& context);

/// Few values, zeros where all of a contiguous f32 tensor were finite, and one that is not where
/// one was not. Scratch of the context.
TensorView folded(const TensorView& values, Context& context);

}  // namespace sparsevid
