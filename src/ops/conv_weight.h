// A convolution weight and the packed copy an implementation may keep of it.
#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"

namespace sparsevid::ops {

/// What may become of the factors of f32 before they are multiplied; the sums are in f32. An
/// implementation may be more exact than it has to be: where this would save nothing, as on a CPU,
/// every one of them is.
enum class F32Products : std::uint8_t {
  exact,
  /// Each as the sum of two bf16, 16 bits or more together; the product of the lower halves is left
  /// out. Relative error of a product: up to 3 x 2^-18.
  bf16x3,
  /// 11 bits each. Relative error: up to 2^-10 of each factor that is cut, half of that of each
  /// that is rounded.
  tf32,
};

struct ConvWeight {
  TensorView plain;  ///< [out, in, kt, kh, kw] f32 or bf16, contiguous, as checkpoints store it
  /// Owned by the implementation that packed it first; not for callers.
  mutable std::shared_ptr<void> packed;
  F32Products products = F32Products::exact;  ///< of an f32 weight
};

}  // namespace sparsevid::ops
