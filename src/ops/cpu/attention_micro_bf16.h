// The attention tile's products with the dot-product instruction of AVX-512 BF16.
#pragma once

#include "ops/cpu/attention_micro.h"
#include "ops/cpu/attention_simd_avx512.h"

namespace sparsevid::ops::cpu {
namespace {

struct Bf16Product {
  static constexpr bool kBf16 = true;
  static __m512 add(__m512 sum, __m512 a, __m512 b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a),
                            (__m512bh)_mm512_castps_si512(b));
  }
};

struct Bf16Micro : VectorMicro<Avx512, Bf16Product> {
  /// Weights of two keys, rounded, side by side.
  static __m512 pair(__m512 first, __m512 second) {
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
  }
  /// Rounds 32 neighbours.
  static void store_rounded(std::uint16_t* to, __m512 lower, __m512 upper) {
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(upper, lower));
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
