// Bytes of weights and values in e4m3, and their order.
//
// Four neighbouring blocks of 8 columns of sums (wgmma.h), as bytes, are the a operand of a product
// over those 32 columns, if b has each 16 columns in the order that `column_of_place` gives.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

/// Which of 16 columns of sums is byte `place` of the a operand made of them.
__host__ __device__ constexpr int column_of_place(int place) {
  return place / 2 % 2 * 8 + place / 4 * 2 + place % 2;
}

/// Bytes 0 to 3, from the lowest: the e4m3 nearest to each, at most 448.
__device__ inline std::uint32_t pack_e4m3(float x0, float x1, float x2, float x3) {
  std::uint32_t packed;
  asm("{\n.reg .b16 low, high;\n"
      "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
      "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n}\n"
      : "=r"(packed)
      : "f"(x0), "f"(x1), "f"(x2), "f"(x3));
  return packed;
}

}  // namespace sparsevid::ops::cuda
