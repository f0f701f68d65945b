// Where the video lies in the sequence, and its two orders.
#pragma once

namespace sparsevid::ops::cuda {

/// A place counts video tokens in frame-major order, or in position-major order (temporal).
struct BandVideo {
  int begin;
  int frames;
  int positions;  ///< tokens of a frame

  __device__ int count() const { return frames * positions; }
  __device__ int token_of_place(int place, bool temporal) const {
    return begin + (temporal ? place % frames * positions + place / frames : place);
  }
  /// `video_token` counts from `begin`.
  __device__ int place_of(int video_token, bool temporal) const {
    return temporal ? video_token % positions * frames + video_token / positions : video_token;
  }
};

}  // namespace sparsevid::ops::cuda
