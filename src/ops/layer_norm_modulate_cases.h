// The cases that test and time ops/layer_norm_modulate.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/layer_norm_modulate.h"

namespace sparsevid::ops {

struct LayerNormModulateCase {
  std::string_view name;
  std::int64_t rows, dim;
  DType dtype;
  DType out_dtype;
  std::int64_t gap = 0;
};

inline std::vector<LayerNormModulateCase> layer_norm_modulate_cases() {
  return {
      {"LongestBufferBf16", 2, 8192, DType::bf16, DType::bf16},
      {"F32", 37, 256, DType::f32, DType::f32},
      {"Bf16", 37, 256, DType::bf16, DType::bf16},
      {"OddF32", 37, 131, DType::f32, DType::f32, 3},
      {"OddBf16", 37, 131, DType::bf16, DType::bf16, 5},
      {"F32ToBf16", 3, 40, DType::f32, DType::bf16},
      {"OneRowBf16", 1, 1536, DType::bf16, DType::bf16},
      {"ManyRowsBf16", 700, 96, DType::bf16, DType::bf16},
      {"FiveUnitsBf16", 21, 1280, DType::bf16, DType::bf16, 16},
      {"LongBf16", 9, 5120, DType::bf16, DType::bf16},
  };
}

struct LayerNormModulateInputs {
  GappedRows x, out;
  Tensor scale, shift;
  LayerNormModulateParams params;

  explicit LayerNormModulateInputs(const LayerNormModulateCase& c)
      : x(c.rows, c.dim, c.gap, c.dtype, 1),
        out(c.rows, c.dim, c.gap, c.out_dtype, 2),
        scale(random_tensor({c.dim}, 3)),
        shift(random_tensor({c.dim}, 4)),
        params{x.view, scale, shift, 1e-6, out.view} {}
};

}  // namespace sparsevid::ops
