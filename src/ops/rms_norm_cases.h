// The cases that test and time ops/rms_norm.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/rms_norm.h"

namespace sparsevid::ops {

struct RmsNormCase {
  std::string_view name;
  std::int64_t rows, dim;
  DType dtype;
  std::int64_t gap = 0;
};

inline std::vector<RmsNormCase> rms_norm_cases() {
  return {
      {"LongestBufferBf16", 2, 8192, DType::bf16},
      {"F32", 37, 256, DType::f32},
      {"Bf16", 37, 256, DType::bf16},
      {"OddF32", 37, 131, DType::f32, 3},
      {"OddBf16", 37, 131, DType::bf16, 5},
      {"OneRowBf16", 1, 4096, DType::bf16},
      {"OneElementF32", 3, 1, DType::f32},
      {"FourLanesBf16", 101, 32, DType::bf16},
      {"FifteenOfSixteenLanesBf16", 33, 120, DType::bf16, 8},
      {"ThreeUnitsBf16", 37, 768, DType::bf16},
      {"LongBf16", 9, 5120, DType::bf16},
  };
}

struct RmsNormInputs {
  GappedRows x, out;
  Tensor weight;
  RmsNormParams params;

  explicit RmsNormInputs(const RmsNormCase& c)
      : x(c.rows, c.dim, c.gap, c.dtype, 1),
        out(c.rows, c.dim, c.gap, c.dtype, 2),
        weight(random_tensor({c.dim}, 3)),
        params{x.view, weight, 1e-6, out.view} {}
};

}  // namespace sparsevid::ops
