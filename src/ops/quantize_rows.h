// Rows rounded to fp8, each with a scale of its own: activations of an fp8 linear layer, a row for
// each token, and its weights, a row for each output.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct QuantizeRowsParams {
  TensorView x;    ///< [rows, dim] f32 or bf16; rows may be strided
  TensorView out;  ///< [rows, dim] u8: the bits of e4m3 (1 sign, 4 exponent, 3 mantissa); rows may
                   ///< be strided
  TensorView scale;  ///< [rows] f32
};
/// scale = m / 448 with m the largest magnitude of the row, and 1 for a row of zeros;
/// out = x (448 / m), each operation in f32, rounded to the nearest e4m3, ties to even. 448 is the
/// largest e4m3. x is then out scale, up to the rounding.

void quantize_rows(const QuantizeRowsParams& params, Context& context);
const ImplementationList<QuantizeRowsParams>& quantize_rows_implementations();

}  // namespace sparsevid::ops
