#include "ops/ref/upsample_nearest.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void upsample_nearest(const UpsampleNearestParams& params, Context&) {
  const auto& [x, out] = params;
  const std::int64_t channels = x.size(3);
  std::int64_t to = 0;
  for (std::int64_t t = 0; t < out.size(0); ++t)
    for (std::int64_t h = 0; h < out.size(1); ++h)
      for (std::int64_t w = 0; w < out.size(2); ++w) {
        const std::int64_t pixel = (t * x.size(1) + h / 2) * x.size(2) + w / 2;
        for (std::int64_t i = 0; i < channels; ++i) store(out, to++, load(x, pixel * channels + i));
      }
}

}  // namespace sparsevid::ops::ref
