#include "ops/ref/patchify.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void patchify(const PatchifyParams& params, Context&) {
  const auto& [video, patch, out] = params;
  const auto [pt, ph, pw] = patch;
  const std::int64_t rows_down = video.size(2) / ph;
  const std::int64_t rows_across = video.size(3) / pw;
  for (std::int64_t c = 0; c < video.size(0); ++c)
    for (std::int64_t t = 0; t < video.size(1); ++t)
      for (std::int64_t h = 0; h < video.size(2); ++h)
        for (std::int64_t w = 0; w < video.size(3); ++w) {
          const std::int64_t row = (t / pt * rows_down + h / ph) * rows_across + w / pw;
          const std::int64_t column = ((c * pt + t % pt) * ph + h % ph) * pw + w % pw;
          const std::int64_t from =
              c * video.stride(0) + t * video.stride(1) + h * video.stride(2) + w * video.stride(3);
          store(out, row, column, load(video, from));
        }
}

}  // namespace sparsevid::ops::ref
