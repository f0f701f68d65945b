// Sixteen floats at a time, as the attention tile needs them. Include only where AVX-512 is on.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sparsevid::ops::cpu {
namespace {

struct Avx512 {
  using Vec = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kVecs = 4;

  static Vec zero() { return _mm512_setzero_ps(); }
  static Vec set1(float x) { return _mm512_set1_ps(x); }
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
  static Vec load_words(const std::uint32_t* p) {
    return _mm512_castsi512_ps(_mm512_loadu_si512(p));
  }
  static void store_words(std::uint32_t* p, Vec x) {
    _mm512_storeu_si512(p, _mm512_castps_si512(x));
  }
  static Vec set1_word(std::uint32_t x) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(x)));
  }
  static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  /// a * b + c
  static Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  /// a * b - c
  static Vec fms(Vec a, Vec b, Vec c) { return _mm512_fmsub_ps(a, b, c); }
  static bool any_greater(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
  /// `x` where finite, else `other`.
  static Vec finite_or(Vec x, Vec other) {
    return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, set1(-__builtin_inff()), _CMP_LE_OQ), other);
  }
  /// `limit` where x is finite, -inf elsewhere.
  static Vec limit_where_finite(Vec x, float limit) {
    const __mmask16 not_finite = _mm512_cmp_ps_mask(x, set1(-__builtin_inff()), _CMP_LE_OQ);
    return _mm512_mask_mov_ps(set1(limit), not_finite, set1(-__builtin_inff()));
  }
  /// 1 / x, 0 where x is 0.
  static Vec reciprocal_or_zero(Vec x) {
    return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_NEQ_UQ), set1(1), x);
  }
  /// x in lanes whose row first_row + lane lies in [begin, end), else -inf.
  static Vec keep_rows(Vec x, int first_row, int begin, int end) {
    const __m512i row =
        _mm512_add_epi32(_mm512_set1_epi32(first_row),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const __mmask16 kept = _mm512_cmpge_epi32_mask(row, _mm512_set1_epi32(begin)) &
                           _mm512_cmplt_epi32_mask(row, _mm512_set1_epi32(end));
    return _mm512_mask_mov_ps(set1(-__builtin_inff()), kept, x);
  }

  /// 2^x for x <= 127, 0 for -inf; kDegree coefficients behind the leading 1.
  template <int kDegree>
  static Vec exp2(Vec x, const float (&coefficients)[kDegree]) {
    const Vec f = _mm512_reduce_ps(x, 1);  // x - floor(x)
    Vec y = set1(coefficients[kDegree - 1]);
    for (int i = kDegree - 2; i >= 0; --i) y = fma(y, f, set1(coefficients[i]));
    y = fma(y, f, set1(1));
    return _mm512_scalef_ps(y, x);
  }

  /// Where value < best: best = value, index = column.
  using Ints = __m512i;
  static Ints lanes() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  static Ints add_ints(Ints a, int b) { return _mm512_add_epi32(a, _mm512_set1_epi32(b)); }
  static void keep_less(Vec value, Ints column, Vec& best, Ints& index) {
    const __mmask16 less = _mm512_cmp_ps_mask(value, best, _CMP_LT_OQ);
    best = _mm512_mask_mov_ps(best, less, value);
    index = _mm512_mask_mov_epi32(index, less, column);
  }
  /// The smallest index among the lanes with the smallest value.
  static std::int32_t index_of_smallest(Vec best, Ints index) {
    const __mmask16 at = _mm512_cmp_ps_mask(best, set1(_mm512_reduce_min_ps(best)), _CMP_EQ_OQ);
    // No lane is equal to a minimum that is not a number.
    return at == 0 ? 0 : _mm512_mask_reduce_min_epi32(at, index);
  }
  /// value where |x| <= limit, else 0.
  static Vec where_within(Vec x, Vec limit, Vec value) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(x), limit, _CMP_LE_OQ), value);
  }
  static float largest(Vec x) { return _mm512_reduce_max_ps(x); }
  static float total(Vec x) { return _mm512_reduce_add_ps(x); }

  /// r[i][j] becomes r[j][i].
  static void transpose(Vec (&r)[16]) {
    Vec t[16];
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    const auto lo = [](Vec a, Vec b) {
      return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    };
    const auto hi = [](Vec a, Vec b) {
      return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    };
    for (int i = 0; i < 16; i += 4) {
      r[i] = lo(t[i], t[i + 2]);
      r[i + 1] = hi(t[i], t[i + 2]);
      r[i + 2] = lo(t[i + 1], t[i + 3]);
      r[i + 3] = hi(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
      t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
      t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
      t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
      r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
      r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
      r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
