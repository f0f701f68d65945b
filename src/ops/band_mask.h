// Which keys a query sees under the band of Sparse VideoGen: the one statement of the mask.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace sparsevid::ops {

struct BandMask {
  std::int64_t video_begin;  ///< tokens outside [video_begin, + frames * positions) are dense
  std::int64_t frames;
  std::int64_t positions;  ///< tokens per frame
  std::int64_t width;
  bool temporal;  ///< the band runs in position-major order

  /// Query i and key j are tokens of the sequence.
  bool sees(std::int64_t i, std::int64_t j) const {
    i -= video_begin;
    j -= video_begin;
    const std::int64_t video = frames * positions;
    if (i < 0 || i >= video || j < positions || j >= video) return true;
    return std::abs(place(i) - place(j)) <= width;
  }

 private:
  std::int64_t place(std::int64_t token) const {
    return temporal ? token % positions * frames + token / positions : token;
  }
};

}  // namespace sparsevid::ops
