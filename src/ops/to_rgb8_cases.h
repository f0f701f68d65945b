// The cases that test and time ops/to_rgb8.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/to_rgb8.h"

namespace sparsevid::ops {

struct ToRgb8Case {
  std::string_view name;
  std::int64_t frames, height, width;
  DType dtype;
};

inline std::vector<ToRgb8Case> to_rgb8_cases() {
  return {
      {"F32", 2, 17, 19, DType::f32},
      {"Bf16", 2, 17, 19, DType::bf16},
      {"OnePixel", 1, 1, 1, DType::f32},
      {"Many", 3, 100, 100, DType::f32},
  };
}

struct ToRgb8Inputs {
  Tensor x, out;
  ToRgb8Params params;

  explicit ToRgb8Inputs(const ToRgb8Case& c)
      : x(random_tensor({c.frames, c.height, c.width, 3}, 1, c.dtype)),
        out(DType::u8, {c.frames, c.height, c.width, 3}),
        params{x, out} {}
};

}  // namespace sparsevid::ops
