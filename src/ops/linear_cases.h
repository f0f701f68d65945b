// The cases that test and time ops/linear.h.
#pragma once

#include <cmath>
#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/linear.h"

namespace sparsevid::ops {

struct LinearCase {
  std::string_view name;
  std::int64_t rows, in, out;
  DType dtype;
  DType out_dtype;
  bool bias = true;
  Activation activation = Activation::none;
  std::int64_t gap = 0;  ///< elements between the rows of x and of out
};

inline std::vector<LinearCase> linear_cases() {
  return {
      {"OneRowF32", 1, 256, 384, DType::f32, DType::f32},
      {"OneRowBf16", 1, 256, 384, DType::bf16, DType::bf16},
      {"OddF32", 37, 67, 29, DType::f32, DType::f32, true, Activation::silu},
      {"OddBf16", 37, 67, 29, DType::bf16, DType::bf16, true, Activation::silu},
      {"OneColumnBf16", 5, 33, 1, DType::bf16, DType::bf16, false},
      {"OneInputF32", 5, 1, 7, DType::f32, DType::f32},
      {"NoBiasF32", 130, 128, 64, DType::f32, DType::f32, false},
      {"NoBiasBf16", 130, 128, 64, DType::bf16, DType::bf16, false},
      {"GeluTanhF32", 70, 96, 160, DType::f32, DType::f32, true, Activation::gelu_tanh},
      {"GeluTanhBf16", 70, 96, 160, DType::bf16, DType::bf16, true, Activation::gelu_tanh},
      {"GeluErfBf16", 70, 96, 160, DType::bf16, DType::bf16, true, Activation::gelu_erf},
      {"GeluErfF32", 70, 96, 160, DType::f32, DType::f32, true, Activation::gelu_erf},
      {"ReluF32", 70, 96, 160, DType::f32, DType::f32, true, Activation::relu},
      {"ReluBf16", 70, 96, 160, DType::bf16, DType::bf16, true, Activation::relu},
      {"Bf16ToF32", 50, 64, 48, DType::bf16, DType::f32},
      {"F32ToBf16", 50, 64, 48, DType::f32, DType::bf16, true, Activation::silu},
      {"GappedRowsF32", 41, 64, 48, DType::f32, DType::f32, true, Activation::none, 16},
      {"GappedRowsBf16", 41, 64, 48, DType::bf16, DType::bf16, true, Activation::none, 7},
      {"OneGappedRowBf16", 1, 64, 48, DType::bf16, DType::bf16, true, Activation::none, 8},
      {"ManyTilesBf16", 1100, 16, 2100, DType::bf16, DType::bf16},
      // More than one tile, the last one cut, of a kernel that works on 128 x 256 or 64 deep.
      {"CutTilesBf16", 300, 200, 264, DType::bf16, DType::bf16},
      {"CutTilesToF32", 300, 200, 264, DType::bf16, DType::f32, true, Activation::gelu_tanh},
      {"GappedCutTilesBf16", 300, 40, 520, DType::bf16, DType::bf16, false, Activation::gelu_tanh,
       8},
      {"LongSumsBf16", 140, 1032, 72, DType::bf16, DType::bf16},
  };
}

struct LinearInputs {
  GappedRows x, out;
  Tensor weight, bias;
  LinearParams params;

  explicit LinearInputs(const LinearCase& c)
      : x(c.rows, c.in, c.gap, c.dtype, 1),
        out(c.rows, c.out, c.gap, c.out_dtype, 2),
        // Such that results are of order one, where the activations bend.
        weight(random_tensor({c.out, c.in}, 3, c.dtype,
                             {.scale = 1 / std::sqrt(static_cast<double>(c.in))})),
        bias(random_tensor({c.out}, 4)),
        params{x.view, weight, c.bias ? bias.view() : TensorView(), out.view, c.activation} {}
};

}  // namespace sparsevid::ops
