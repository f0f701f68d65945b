// What blocks of a team tell each other about a chunk, through the L2 cache.
//
// A word of 64 bits holds the largest logit of a query in a tile and its mass there, and in the
// last two bits of the mass when it was told: whoever sees the right ones has the right word, so
// neither barriers nor fences are needed, and blocks need not be neighbours.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

using Told = std::uint64_t;  // in global memory
constexpr unsigned kToldTimes = 4;

/// `time` is less than kToldTimes and another one than what the place held before.
__device__ inline void tell(Told* place, float largest, float mass, unsigned time) {
  const unsigned low = (__float_as_uint(mass) & ~(kToldTimes - 1)) | time;
  asm volatile(
      "{\n.reg .b64 word;\nmov.b64 word, {%1, %2};\n"
      "st.relaxed.gpu.global.b64 [%0], word;\n}\n" ::"l"(place),
      "r"(low), "r"(__float_as_uint(largest))
      : "memory");
}

__device__ inline Told listen(const Told* place) {
  Told told;
  asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(told) : "l"(place) : "memory");
  return told;
}

__device__ inline bool is_told_at(Told told, unsigned time) {
  return (static_cast<unsigned>(told) & (kToldTimes - 1)) == time;
}
/// The largest logit and the mass.
__device__ inline float2 what_is_told(Told told) {
  return {__uint_as_float(static_cast<unsigned>(told >> 32)),
          __uint_as_float(static_cast<unsigned>(told) & ~(kToldTimes - 1))};
}

}  // namespace sparsevid::ops::cuda
