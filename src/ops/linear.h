// out = activation(x weight^T + bias): every matrix product with weights.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/activation_kind.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct LinearParams {
  TensorView x;       ///< [rows, in] f32 or bf16; rows may be strided, the last axis contiguous
  TensorView weight;  ///< [out, in], the dtype of x, contiguous
  TensorView bias;    ///< [out] f32; may be undefined
  TensorView out;     ///< [rows, out] f32 or bf16; rows may be strided
  Activation activation = Activation::none;
};
/// Sums in f32; the activation is applied before the one rounding to the type of out.

void linear(const LinearParams& params, Context& context);
const ImplementationList<LinearParams>& linear_implementations();

}  // namespace sparsevid::ops
