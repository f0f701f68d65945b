// The cases that test and time ops/patchify.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/patchify.h"

namespace sparsevid::ops {

struct PatchifyCase {
  std::string_view name;
  std::int64_t channels, frames, height, width;
  std::array<int, 3> patch;
  DType dtype;
  std::int64_t gap = 0;
};

inline std::vector<PatchifyCase> patchify_cases() {
  return {
      {"Wan", 16, 3, 8, 12, {1, 2, 2}, DType::f32},
      {"WanBf16", 16, 3, 8, 12, {1, 2, 2}, DType::bf16},
      {"AllAxes", 5, 4, 6, 9, {2, 3, 1}, DType::f32, 3},
      {"OnePatch", 2, 1, 2, 2, {1, 2, 2}, DType::bf16},
  };
}

struct PatchifyInputs {
  Tensor video;
  GappedRows out;
  PatchifyParams params;

  explicit PatchifyInputs(const PatchifyCase& c)
      : video(random_tensor({c.channels, c.frames, c.height, c.width}, 1)),
        out(c.frames * c.height * c.width / (c.patch[0] * c.patch[1] * c.patch[2]),
            c.channels * c.patch[0] * c.patch[1] * c.patch[2], c.gap, c.dtype, 2),
        params{video, c.patch, out.view} {}
};

}  // namespace sparsevid::ops
