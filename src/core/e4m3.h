// The fp8 format e4m3 (1 sign, 4 exponent, 3 mantissa bits, bias 7, no infinities) and float.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace sparsevid {

constexpr float kLargestE4m3 = 448;

inline float from_e4m3(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0
                              ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

/// To the nearest, ties to even; what is larger than the largest becomes the largest.
inline std::uint8_t to_e4m3(float value) {
  const int sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return static_cast<std::uint8_t>(sign | 0x7f);
  const float magnitude = std::min(std::fabs(value), kLargestE4m3);
  // Numbers below 2^-6 have the spacing of those at 2^-6. A mantissa that rounds up to 16 carries
  // into the exponent by itself.
  const int exponent = std::max(magnitude > 0 ? std::ilogb(magnitude) : -6, -6);
  const auto mantissa = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 3 - exponent)));
  return static_cast<std::uint8_t>(sign | ((exponent + 6) * 8 + mantissa));
}

}  // namespace sparsevid
