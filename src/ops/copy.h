// out = x with another dtype or other strides.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct CopyParams {
  TensorView x;    ///< any shape and strides; f64, f32, f16, bf16, i32, i64 or u8
  TensorView out;  ///< the same shape, any strides; f64, f32, bf16, or the dtype of x
};

void copy(const CopyParams& params, Context& context);
const ImplementationList<CopyParams>& copy_implementations();

}  // namespace sparsevid::ops
