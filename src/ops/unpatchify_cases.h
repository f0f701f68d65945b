// The cases that test and time ops/unpatchify.h: those of ops/patchify.h, the other way.
#pragma once

#include "ops/patchify_cases.h"
#include "ops/unpatchify.h"

namespace sparsevid::ops {

struct UnpatchifyInputs {
  GappedRows rows;
  Tensor video;
  UnpatchifyParams params;

  explicit UnpatchifyInputs(const PatchifyCase& c)
      : rows(c.frames * c.height * c.width / (c.patch[0] * c.patch[1] * c.patch[2]),
             c.channels * c.patch[0] * c.patch[1] * c.patch[2], c.gap, c.dtype, 1),
        video(DType::f32, {c.channels, c.frames, c.height, c.width}),
        params{rows.view, c.patch, video} {}
};

}  // namespace sparsevid::ops
