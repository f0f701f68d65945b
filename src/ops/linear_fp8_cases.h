// The cases that test and time ops/linear_fp8.h.
#pragma once

#include <cmath>
#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/linear_fp8.h"
#include "ops/quantize_rows.h"

namespace sparsevid::ops {

struct LinearFp8Case {
  std::string_view name;
  std::int64_t rows, in, out;
  DType out_dtype;
  bool bias = true;
  Activation activation = Activation::none;
  std::int64_t gap = 0;  ///< elements between the rows of out
};

inline std::vector<LinearFp8Case> linear_fp8_cases() {
  return {
      {"Bf16", 70, 96, 160, DType::bf16},
      {"F32", 70, 96, 160, DType::f32},
      {"GeluBf16", 70, 96, 160, DType::bf16, true, Activation::gelu_tanh},
      {"NoBiasGappedBf16", 70, 160, 24, DType::bf16, false, Activation::none, 16},
      {"CutTilesBf16", 300, 208, 264, DType::bf16},
      {"LongSumsF32", 140, 1040, 72, DType::f32},
      {"OneRowBf16", 1, 64, 48, DType::bf16},
      {"OddF32", 5, 33, 7, DType::f32, true, Activation::silu},
  };
}

struct LinearFp8Inputs {
  Tensor x, x_scale, weight, weight_scale, bias;
  GappedRows out;
  LinearFp8Params params;

  explicit LinearFp8Inputs(const LinearFp8Case& c)
      : x(DType::u8, {c.rows, c.in}),
        x_scale(DType::f32, {c.rows}),
        weight(DType::u8, {c.out, c.in}),
        weight_scale(DType::f32, {c.out}),
        bias(random_tensor({c.out}, 4)),
        out(c.rows, c.out, c.gap, c.out_dtype, 2) {
    Context context;
    const auto& quantize = quantize_rows_implementations().entries().back();
    const Tensor rows = random_tensor({c.rows, c.in}, 1);
    quantize.run({rows, x, x_scale}, context);
    // Such that results are of order one, where the activations bend.
    const Tensor columns = random_tensor({c.out, c.in}, 3, DType::f32,
                                         {.scale = 1 / std::sqrt(static_cast<double>(c.in))});
    quantize.run({columns, weight, weight_scale}, context);
    params = {x,        x_scale,     weight, weight_scale, c.bias ? bias.view() : TensorView(),
              out.view, c.activation};
  }
};

}  // namespace sparsevid::ops
