#include "ops/ref/round_offsets.h"

#include <algorithm>
#include <cmath>

namespace sparsevid::ops::ref {

void round_offsets(const RoundOffsetsParams& params, Context&) {
  const double multiple = params.multiple;
  for (std::int64_t head = 0; head < params.offsets.size(0); ++head) {
    const auto* offsets = params.offsets[head].as<std::int32_t>();
    auto* rounded = params.rounded[head].as<std::int32_t>();
    const std::int64_t last = params.offsets.size(1) - 1;
    for (std::int64_t c = 0; c <= last; ++c) {
      const double nearest = std::floor(offsets[c] / multiple + .5) * multiple;
      rounded[c] = c == 0 || c == last
                       ? offsets[c]
                       : static_cast<std::int32_t>(std::min<double>(nearest, offsets[last]));
    }
  }
}

}  // namespace sparsevid::ops::ref
