// The cases that test and time ops/upsample_nearest.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/upsample_nearest.h"

namespace sparsevid::ops {

struct UpsampleNearestCase {
  std::string_view name;
  std::int64_t frames, height, width, channels;
  DType dtype;
};

inline std::vector<UpsampleNearestCase> upsample_nearest_cases() {
  return {
      {"F32", 2, 5, 7, 16, DType::f32},
      {"Bf16", 2, 5, 7, 3, DType::bf16},
      {"OnePixel", 1, 1, 1, 1, DType::f32},
      {"Many", 2, 40, 40, 32, DType::bf16},
  };
}

struct UpsampleNearestInputs {
  Tensor x, out;
  UpsampleNearestParams params;

  explicit UpsampleNearestInputs(const UpsampleNearestCase& c)
      : x(random_tensor({c.frames, c.height, c.width, c.channels}, 1, c.dtype)),
        out(c.dtype, {c.frames, 2 * c.height, 2 * c.width, c.channels}),
        params{x, out} {}
};

}  // namespace sparsevid::ops
