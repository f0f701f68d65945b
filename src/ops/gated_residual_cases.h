// The cases that test and time ops/gated_residual.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/gated_residual.h"

namespace sparsevid::ops {

struct GatedResidualCase {
  std::string_view name;
  std::int64_t rows, dim;
  DType dtype;
  bool gate = true;
  std::int64_t gap = 0;
};

inline std::vector<GatedResidualCase> gated_residual_cases() {
  return {
      {"F32", 37, 256, DType::f32},
      {"Bf16", 37, 256, DType::bf16},
      {"OddF32", 37, 131, DType::f32, true, 3},
      {"OddBf16", 37, 131, DType::bf16, true, 5},
      {"NoGateF32", 8, 77, DType::f32, false},
      {"NoGateBf16", 8, 77, DType::bf16, false, 3},
      {"OneRowBf16", 1, 1536, DType::bf16},
      {"ManyRowsBf16", 700, 96, DType::bf16},
  };
}

struct GatedResidualInputs {
  GappedRows out, y;  // out is x
  Tensor gate;
  GatedResidualParams params;

  explicit GatedResidualInputs(const GatedResidualCase& c)
      : out(c.rows, c.dim, c.gap, c.dtype, 1),
        y(c.rows, c.dim, c.gap, c.dtype, 2),
        gate(random_tensor({c.dim}, 3)),
        params{out.view, y.view, c.gate ? gate.view() : TensorView()} {}
};

}  // namespace sparsevid::ops
