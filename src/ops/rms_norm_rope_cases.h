// The cases that test and time ops/rms_norm_rope.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/rms_norm_rope.h"

namespace sparsevid::ops {

struct RmsNormRopeCase {
  std::string_view name;
  std::int64_t seq_len, heads, head_dim;
  DType dtype;
  bool rotate = true;
  std::int64_t gap = 0;
};

inline std::vector<RmsNormRopeCase> rms_norm_rope_cases() {
  return {
      {"F32", 37, 2, 128, DType::f32},
      {"Bf16", 37, 2, 128, DType::bf16},
      {"OddHeadsF32", 21, 3, 64, DType::f32, true, 6},
      {"SmallHeadsBf16", 21, 3, 12, DType::bf16, true, 10},
      {"OnePairF32", 5, 1, 2, DType::f32},
      {"OneTokenBf16", 1, 12, 128, DType::bf16},
      {"NoRotationF32", 9, 3, 20, DType::f32, false},
      {"NoRotationBf16", 9, 3, 20, DType::bf16, false, 4},
      {"ManyTokensBf16", 700, 2, 64, DType::bf16},
      {"ThreeUnitsBf16", 37, 6, 128, DType::bf16, true, 8},
      {"FiveUnitsBf16", 5, 10, 128, DType::bf16},
      {"LongBf16", 9, 40, 128, DType::bf16},
  };
}

struct RmsNormRopeInputs {
  GappedRows x, out;
  Tensor weight, cos, sin;
  RmsNormRopeParams params;

  explicit RmsNormRopeInputs(const RmsNormRopeCase& c)
      : x(c.seq_len, c.heads * c.head_dim, c.gap, c.dtype, 1),
        out(c.seq_len, c.heads * c.head_dim, c.gap, c.dtype, 2),
        weight(random_tensor({c.heads * c.head_dim}, 3)),
        cos(random_tensor({c.seq_len, c.head_dim / 2}, 4)),
        sin(random_tensor({c.seq_len, c.head_dim / 2}, 5)),
        params{in_heads(x.view, c),
               weight,
               1e-6,
               c.rotate ? cos.view() : TensorView(),
               c.rotate ? sin.view() : TensorView(),
               in_heads(out.view, c)} {}

 private:
  static TensorView in_heads(const TensorView& rows, const RmsNormRopeCase& c) {
    return {rows.data(),
            rows.dtype(),
            {c.seq_len, c.heads, c.head_dim},
            Shape{rows.stride(0), c.head_dim, 1}};
  }
};

}  // namespace sparsevid::ops
