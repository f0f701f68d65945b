// Eight floats at a time, as the attention tile needs them. Include only where AVX2 and FMA are on.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sparsevid::ops::cpu {
namespace {

struct Avx2 {
  using Vec = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kVecs = 2;

  static Vec zero() { return _mm256_setzero_ps(); }
  static Vec set1(float x) { return _mm256_set1_ps(x); }
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
  static Vec load_words(const std::uint32_t* p) {
    return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static void store_words(std::uint32_t* p, Vec x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(x));
  }
  static Vec set1_word(std::uint32_t x) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(x)));
  }
  static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static Vec fms(Vec a, Vec b, Vec c) { return _mm256_fmsub_ps(a, b, c); }
  static bool any_greater(Vec a, Vec b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
  }
  static Vec finite_or(Vec x, Vec other) {
    return _mm256_blendv_ps(x, other, _mm256_cmp_ps(x, set1(-__builtin_inff()), _CMP_LE_OQ));
  }
  static Vec reciprocal_or_zero(Vec x) {
    return _mm256_and_ps(_mm256_cmp_ps(x, zero(), _CMP_NEQ_UQ), _mm256_div_ps(set1(1), x));
  }
  static Vec keep_rows(Vec x, int first_row, int begin, int end) {
    const __m256i row =
        _mm256_add_epi32(_mm256_set1_epi32(first_row), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i kept = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), row),
                                             _mm256_cmpgt_epi32(_mm256_set1_epi32(end), row));
    return _mm256_blendv_ps(set1(-__builtin_inff()), x, _mm256_castsi256_ps(kept));
  }

  template <int kDegree>
  static Vec exp2(Vec x, const float (&coefficients)[kDegree]) {
    x = max(x, set1(-127));  // whose exponent field is 0, so that -inf gives 0
    const Vec floor = _mm256_floor_ps(x);
    const Vec f = _mm256_sub_ps(x, floor);
    Vec y = set1(coefficients[kDegree - 1]);
    for (int i = kDegree - 2; i >= 0; --i) y = fma(y, f, set1(coefficients[i]));
    y = fma(y, f, set1(1));
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(floor), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), exponent));
  }

  using Ints = __m256i;
  static Ints lanes() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  static Ints add_ints(Ints a, int b) { return _mm256_add_epi32(a, _mm256_set1_epi32(b)); }
  static void keep_less(Vec value, Ints column, Vec& best, Ints& index) {
    const Vec less = _mm256_cmp_ps(value, best, _CMP_LT_OQ);
    best = _mm256_blendv_ps(best, value, less);
    index = _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(index), _mm256_castsi256_ps(column), less));
  }
  static std::int32_t index_of_smallest(Vec best, Ints index) {
    float values[kLanes];
    std::int32_t indices[kLanes];
    store(values, best);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(indices), index);
    int at = 0;
    for (int l = 1; l < kLanes; ++l) {
      if (values[l] < values[at] || (values[l] == values[at] && indices[l] < indices[at])) at = l;
    }
    return indices[at];
  }
  static Vec where_within(Vec x, Vec limit, Vec value) {
    const Vec size = _mm256_andnot_ps(set1(-0.F), x);
    return _mm256_and_ps(_mm256_cmp_ps(size, limit, _CMP_LE_OQ), value);
  }
  static float largest(Vec x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static float total(Vec x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }

  static void transpose(Vec (&r)[8]) {
    Vec t[8];
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
      t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < 8; ++i) r[i] = t[i];
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
