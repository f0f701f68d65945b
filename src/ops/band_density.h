// How many of the pairs a band holds (ops/band_mask.h), counted without looking at each.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sparsevid::ops {

/// Share of the pairs of a sequence inside a band (either kind of head): the band, the first frame
/// as a sink, and all pairs of text.
inline double band_density(std::int64_t frames, std::int64_t positions, std::int64_t width,
                           std::int64_t text_tokens, bool temporal) {
  const std::int64_t video = frames * positions;
  const std::int64_t all = video + text_tokens;
  std::int64_t pairs = all * all - video * video;
  for (std::int64_t place = 0; place < video; ++place) {
    const std::int64_t low = std::max<std::int64_t>(0, place - width);
    const std::int64_t high = std::min(video, place + width + 1);
    // Keys of the first frame inside [0, end) of the head's order.
    const auto sinks_before = [&](std::int64_t end) {
      return temporal ? (end + frames - 1) / frames : std::min(end, positions);
    };
    pairs += high - low + positions - (sinks_before(high) - sinks_before(low));
  }
  return static_cast<double>(pairs) / (static_cast<double>(all) * static_cast<double>(all));
}

}  // namespace sparsevid::ops
