// A convolution weight and the packed copy an implementation may keep of it.
#pragma once

#include <memory>

#include "core/tensor.h"

namespace sparsevid::ops {

struct ConvWeight {
  TensorView plain;  ///< [out, in, kt, kh, kw] f32 or bf16, contiguous, as checkpoints store it
  /// Owned by the implementation that packed it first; not for callers.
  mutable std::shared_ptr<void> packed;
};

}  // namespace sparsevid::ops
