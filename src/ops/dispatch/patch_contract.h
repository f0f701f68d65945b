// What patchify and unpatchify ask of a video and the rows of its patches.
#pragma once

#include <array>

#include "ops/dispatch/contract.h"

namespace sparsevid::ops {

/// `rows` [patches, values of a patch] hold each element of `video` [channels, frames, height,
/// width] once.
inline bool patches_cover(const TensorView& video, const std::array<int, 3>& patch,
                          const TensorView& rows) {
  if (video.rank() != 4 || !is_matrix(rows)) return false;
  const std::int64_t volume = std::int64_t{patch[0]} * patch[1] * patch[2];
  return volume > 0 && video.size(1) % patch[0] == 0 && video.size(2) % patch[1] == 0 &&
         video.size(3) % patch[2] == 0 && rows.size(1) == video.size(0) * volume &&
         rows.numel() == video.numel();
}

}  // namespace sparsevid::ops
