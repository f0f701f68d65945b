// The cases that test and time ops/guidance.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/guidance.h"

namespace sparsevid::ops {

struct GuidanceCase {
  std::string_view name;
  std::int64_t count;
  DType dtype;
  double scale;
};

inline std::vector<GuidanceCase> guidance_cases() {
  return {
      {"F32", 1031, DType::f32, 5},
      {"Bf16", 1031, DType::bf16, 5},
      {"OneBf16", 1, DType::bf16, 6.5},
      {"ManyF32", 200003, DType::f32, 1},
  };
}

struct GuidanceInputs {
  Tensor cond, uncond, out;
  GuidanceParams params;

  explicit GuidanceInputs(const GuidanceCase& c)
      : cond(random_tensor({c.count}, 1, c.dtype)),
        uncond(random_tensor({c.count}, 2, c.dtype)),
        out(DType::f32, {c.count}),
        params{cond, uncond, c.scale, out} {}
};

}  // namespace sparsevid::ops
