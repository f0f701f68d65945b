#include "ops/ref/unpatchify.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void unpatchify(const UnpatchifyParams& params, Context&) {
  const auto& [rows, patch, video] = params;
  const auto [pt, ph, pw] = patch;
  const std::int64_t channels = video.size(0);
  const std::int64_t rows_down = video.size(2) / ph;
  const std::int64_t rows_across = video.size(3) / pw;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t t = 0; t < video.size(1); ++t)
      for (std::int64_t h = 0; h < video.size(2); ++h)
        for (std::int64_t w = 0; w < video.size(3); ++w) {
          const std::int64_t row = (t / pt * rows_down + h / ph) * rows_across + w / pw;
          const std::int64_t column = ((t % pt * ph + h % ph) * pw + w % pw) * channels + c;
          const std::int64_t to =
              c * video.stride(0) + t * video.stride(1) + h * video.stride(2) + w * video.stride(3);
          store(video, to, load(rows, row, column));
        }
}

}  // namespace sparsevid::ops::ref
