// out = activation(x weight^T + bias) with both operands in fp8 and a scale for each of their rows.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/activation_kind.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct LinearFp8Params {
  TensorView x;             ///< [rows, in] u8: e4m3, as quantize_rows makes it; rows may be strided
  TensorView x_scale;       ///< [rows] f32
  TensorView weight;        ///< [out, in] u8: e4m3, contiguous
  TensorView weight_scale;  ///< [out] f32
  TensorView bias;          ///< [out] f32; may be undefined
  TensorView out;           ///< [rows, out] f32 or bf16; rows may be strided
  Activation activation = Activation::none;
};
/// Products of e4m3 are exact in f32; their sums may be kept with as few as 13 bits, as Hopper's
/// tensor cores do, which is far less than what rounding to e4m3 cost. Scales, bias and activation
/// in f32, one rounding at the output.

void linear_fp8(const LinearFp8Params& params, Context& context);
const ImplementationList<LinearFp8Params>& linear_fp8_implementations();

}  // namespace sparsevid::ops
