// The cases that test and time ops/layer_norm.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/layer_norm.h"

namespace sparsevid::ops {

struct LayerNormCase {
  std::string_view name;
  std::int64_t rows, dim;
  DType dtype;
  DType out_dtype;
  bool weight = false;
  bool bias = false;
  std::int64_t gap = 0;
};

inline std::vector<LayerNormCase> layer_norm_cases() {
  return {
      {"TooLongForABufferBf16", 2, 8200, DType::bf16, DType::bf16},
      {"PlainF32", 37, 256, DType::f32, DType::f32},
      {"PlainBf16", 37, 256, DType::bf16, DType::bf16},
      {"AffineF32", 37, 131, DType::f32, DType::f32, true, true},
      {"AffineBf16", 37, 131, DType::bf16, DType::bf16, true, true, 5},
      {"WeightOnlyBf16", 3, 40, DType::bf16, DType::f32, true, false},
      {"BiasOnlyF32", 3, 40, DType::f32, DType::bf16, false, true, 3},
      {"OneRowBf16", 1, 1536, DType::bf16, DType::bf16, true, true},
      {"OneElementF32", 4, 1, DType::f32, DType::f32, true, true},
      {"ManyRowsF32", 700, 96, DType::f32, DType::f32, true, true},
      {"FourLanesBf16", 101, 32, DType::bf16, DType::bf16, true, true},
      {"SevenOfEightLanesBf16", 33, 56, DType::bf16, DType::bf16, true, true, 8},
      {"SixteenLanesBf16", 9, 128, DType::bf16, DType::bf16, true, false},
      {"ThreeUnitsBf16", 37, 768, DType::bf16, DType::bf16, true, true},
      {"FiveUnitsBf16", 21, 1280, DType::bf16, DType::bf16, true, true, 8},
      {"LongBf16", 9, 5120, DType::bf16, DType::bf16, true, true},
  };
}

struct LayerNormInputs {
  GappedRows x, out;
  Tensor weight, bias;
  LayerNormParams params;

  explicit LayerNormInputs(const LayerNormCase& c)
      : x(c.rows, c.dim, c.gap, c.dtype, 1),
        out(c.rows, c.dim, c.gap, c.out_dtype, 2),
        weight(random_tensor({c.dim}, 3)),
        bias(random_tensor({c.dim}, 4)),
        params{x.view, c.weight ? weight.view() : TensorView(), c.bias ? bias.view() : TensorView(),
               1e-6, out.view} {}
};

}  // namespace sparsevid::ops
