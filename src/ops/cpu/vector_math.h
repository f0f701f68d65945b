// Arithmetic that compilers turn into vector code: no branches, no calls. Each file that includes
// it is compiled for one instruction set, so everything here is private to the file.
#pragma once

#include <bit>
#include <cstdint>

#include "core/dtype.h"

namespace sparsevid::ops::cpu {
namespace {

inline float to_float(float x) { return x; }
inline float to_float(bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}
inline float to_float(f16 x) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7fffU) << 13;
  const float finite = std::bit_cast<float>(magnitude) * 0x1p112F;  // also right for subnormals
  const std::uint32_t bits = (x.bits & 0x7c00U) == 0x7c00U ? magnitude | 0x7f800000U
                                                           : std::bit_cast<std::uint32_t>(finite);
  return std::bit_cast<float>(bits | static_cast<std::uint32_t>(x.bits & 0x8000U) << 16);
}

inline void store(float& to, float x) { to = x; }
/// To nearest even; NaN stays NaN.
inline void store(bf16& to, float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (u + 0x7fffU + (u >> 16 & 1U)) >> 16;
  const std::uint32_t nan = u >> 16 | 0x40U;
  to.bits = static_cast<std::uint16_t>((u & 0x7fffffffU) > 0x7f800000U ? nan : rounded);
}

/// e^x within 2 ulp; 0 below -87.3, and 2^127.5 above 88.4 stands for infinity.
inline float exp(float x) {
  const float clamped = x < -87.3F ? -87.3F : x > 88.3F ? 88.3F : x;
  const float shifted =
      clamped * 1.44269504F + 0x1.8p23F;  // rounds to a whole number in the low bits
  const float n = shifted - 0x1.8p23F;
  // ln 2 in two parts, so that the difference is exact.
  const float r = clamped - n * 0x1.62e4p-1F - n * 0x1.7f7d1cp-20F;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1;
  p = p * r + 1;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127U) << 23;
  return p * std::bit_cast<float>(exponent);
}

inline float silu(float x) { return x / (1 + exp(-x)); }

/// x/2 (1 + tanh(u)) = x / (1 + e^(-2u)).
inline float gelu_tanh(float x) {
  const float u = 0.797884561F * (x + 0.044715F * x * x * x);
  return x / (1 + exp(-2 * u));
}

}  // namespace
}  // namespace sparsevid::ops::cpu
