// The cases that test and time ops/unpatchify.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/unpatchify.h"

namespace sparsevid::ops {

struct UnpatchifyCase {
  std::string_view name;
  std::int64_t channels, frames, height, width;
  std::array<int, 3> patch;
  DType dtype;
  std::int64_t gap = 0;
};

inline std::vector<UnpatchifyCase> unpatchify_cases() {
  return {
      {"Wan", 16, 3, 8, 12, {1, 2, 2}, DType::f32},
      {"WanBf16", 16, 3, 8, 12, {1, 2, 2}, DType::bf16},
      {"AllAxes", 5, 4, 6, 9, {2, 3, 1}, DType::f32, 3},
      {"OnePatch", 2, 1, 2, 2, {1, 2, 2}, DType::bf16},
  };
}

struct UnpatchifyInputs {
  GappedRows rows;
  Tensor video;
  UnpatchifyParams params;

  explicit UnpatchifyInputs(const UnpatchifyCase& c)
      : rows(c.frames * c.height * c.width / (c.patch[0] * c.patch[1] * c.patch[2]),
             c.channels * c.patch[0] * c.patch[1] * c.patch[2], c.gap, c.dtype, 1),
        video(DType::f32, {c.channels, c.frames, c.height, c.width}),
        params{rows.view, c.patch, video} {}
};

}  // namespace sparsevid::ops
