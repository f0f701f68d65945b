#include "ops/cpu/round_offsets.h"

#include <algorithm>

namespace sparsevid::ops::cpu {

void round_offsets(const RoundOffsetsParams& params, Context&) {
  const std::int64_t multiple = params.multiple;
  for (std::int64_t head = 0; head < params.offsets.size(0); ++head) {
    const auto* offsets = params.offsets[head].as<std::int32_t>();
    auto* rounded = params.rounded[head].as<std::int32_t>();
    const std::int64_t last = params.offsets.size(1) - 1;
    const std::int64_t end = offsets[last];
    rounded[0] = offsets[0];
    for (std::int64_t c = 1; c < last; ++c)
      rounded[c] = static_cast<std::int32_t>(
          std::min(end, (2 * offsets[c] + multiple) / (2 * multiple) * multiple));
    rounded[last] = static_cast<std::int32_t>(end);
  }
}

}  // namespace sparsevid::ops::cpu
