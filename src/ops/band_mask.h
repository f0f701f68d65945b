// Which keys a query sees under the band of Sparse VideoGen: the one statement of the mask.
#pragma once

#include <cstdint>

namespace sparsevid::ops {

struct BandMask {
  std::int64_t video_begin;  ///< tokens outside [video_begin, + frames * positions) are dense
  std::int64_t frames;
  std::int64_t positions;  ///< tokens per frame
  std::int64_t width;
  bool temporal;  ///< the band runs in position-major order

  /// Query i and key j are tokens of the sequence.
  constexpr bool sees(std::int64_t i, std::int64_t j) const {
    i -= video_begin;
    j -= video_begin;
    const std::int64_t video = frames * positions;
    if (i < 0 || i >= video || j < positions || j >= video) return true;
    const std::int64_t distance = place(i) - place(j);
    return distance <= width && distance >= -width;
  }

 private:
  constexpr std::int64_t place(std::int64_t token) const {
    return temporal ? token % positions * frames + token / positions : token;
  }
};

}  // namespace sparsevid::ops
