#include "ops/cpu/upsample_nearest.h"

#include <cstring>

#include "ops/cpu/pieces.h"

namespace sparsevid::ops::cpu {

void upsample_nearest(const UpsampleNearestParams& params, Context& context) {
  const TensorView& x = params.x;
  const std::int64_t width = x.size(2);
  const std::int64_t channels = x.size(3);
  const std::size_t pixel = static_cast<std::size_t>(channels) * size_of(x.dtype());
  const std::size_t out_row = 2 * static_cast<std::size_t>(width) * pixel;
  for_row_pieces(context, x.size(0) * x.size(1), 4 * width * channels,
                 [&](std::int64_t begin, std::int64_t rows) {
                   for (std::int64_t row = begin; row < begin + rows; ++row) {
                     const std::byte* from = address(x, row * width * channels);
                     std::byte* first = address(params.out, row * 4 * width * channels);
                     std::byte* to = first;
                     for (std::int64_t w = 0; w < width; ++w, from += pixel, to += 2 * pixel) {
                       std::memcpy(to, from, pixel);
                       std::memcpy(to + pixel, from, pixel);
                     }
                     std::memcpy(first + out_row, first, out_row);
                   }
                 });
}

}  // namespace sparsevid::ops::cpu
