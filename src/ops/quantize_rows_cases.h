// The cases that test and time ops/quantize_rows.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/quantize_rows.h"

namespace sparsevid::ops {

struct QuantizeRowsCase {
  std::string_view name;
  std::int64_t rows, dim;
  DType dtype;
  std::int64_t gap = 0;
  double outliers = 0;  ///< share of elements 30 times as large
};

inline std::vector<QuantizeRowsCase> quantize_rows_cases() {
  return {
      {"F32", 37, 256, DType::f32},
      {"Bf16", 37, 256, DType::bf16},
      {"OddF32", 21, 131, DType::f32, 3},
      {"OddBf16", 21, 131, DType::bf16, 5},
      {"OutliersBf16", 9, 640, DType::bf16, 16, .01},
      {"OneElementF32", 3, 1, DType::f32},
      {"LongBf16", 2, 13824, DType::bf16},
      {"LongF32", 2, 8896, DType::f32},
      {"TooLongForRegistersBf16", 1, 16400, DType::bf16},
  };
}

struct QuantizeRowsInputs {
  GappedRows x;
  Tensor out, scale;
  QuantizeRowsParams params;

  explicit QuantizeRowsInputs(const QuantizeRowsCase& c)
      : x(c.rows, c.dim, c.gap, c.dtype, 1, {.outlier_fraction = c.outliers}),
        out(random_integers({c.rows, c.dim + c.gap}, 2, 0, 255, DType::u8)),
        scale(DType::f32, {c.rows}),
        params{x.view, out.view().slice(1, 0, c.dim), scale} {}
};

}  // namespace sparsevid::ops
