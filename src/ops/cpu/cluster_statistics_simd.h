// Means and variances of rows over any vector type. Included only by the kernels' own files, each
// compiled for its instruction set; so it uses nothing of the standard library that another file
// could end up sharing.
#pragma once

#include <cstdint>

#include "ops/cpu/attention_pack.h"

namespace sparsevid::ops::cpu {
namespace {

/// Sums of f32 grow inexact with their length: each run of this many members is summed by itself.
constexpr int kSummedAtOnce = 128;

/// Vectors of whole numbers with as many elements as a vector of floats.
template <int kLanes>
struct WholeNumbers;
template <>
struct WholeNumbers<8> {
  using Halves [[gnu::vector_size(16)]] = std::uint16_t;
  using Words [[gnu::vector_size(32)]] = std::uint32_t;
};
template <>
struct WholeNumbers<16> {
  using Halves [[gnu::vector_size(32)]] = std::uint16_t;
  using Words [[gnu::vector_size(64)]] = std::uint32_t;
};

template <typename Simd>
typename Simd::Vec load_floats(const float* from) {
  return Simd::load(from);
}
template <typename Simd>
typename Simd::Vec load_floats(const std::uint16_t* from) {
  using Numbers = WholeNumbers<Simd::kLanes>;
  typename Numbers::Halves halves;
  __builtin_memcpy(&halves, from, sizeof halves);
  return (typename Simd::Vec)(__builtin_convertvector(halves, typename Numbers::Words) << 16);
}

/// Members ahead whose rows are asked for while one is added: they lie anywhere in memory.
constexpr int kPrefetched = 12;

/// The mean over the members of function(v, row[v]) for kVecs vectors of columns. No order: the
/// members follow one another.
template <typename Simd, int kVecs, typename Source, typename Function>
inline void mean_columns(const Source* source, std::int64_t row_stride, const std::int32_t* order,
                         int count, std::int64_t readable, float* to, const Function& function) {
  using Vec = typename Simd::Vec;
  Vec total[kVecs];
  for (auto& vec : total) vec = Simd::zero();
  for (int begin = 0; begin < count; begin += kSummedAtOnce) {
    const int end = begin + kSummedAtOnce < count ? begin + kSummedAtOnce : count;
    Vec sum[kVecs];
    for (auto& vec : sum) vec = Simd::zero();
    for (int i = begin; i < end; ++i) {
      const Source* row = source + (order == nullptr ? i : order[i]) * row_stride;
      if (i + kPrefetched < readable) {
        const Source* later = source + order[i + kPrefetched] * row_stride;
        for (int v = 0; v < kVecs; ++v) __builtin_prefetch(later + v * Simd::kLanes);
      }
      for (int v = 0; v < kVecs; ++v)
        sum[v] = Simd::add(sum[v], function(v, load_floats<Simd>(row + v * Simd::kLanes)));
    }
    for (int v = 0; v < kVecs; ++v) total[v] = Simd::add(total[v], sum[v]);
  }
  const Vec factor = Simd::set1(1 / static_cast<float>(count));
  for (int v = 0; v < kVecs; ++v) Simd::store(to + v * Simd::kLanes, Simd::mul(total[v], factor));
}

template <typename Simd, int kVecs, typename Source>
inline void column_statistics(const Source* source, std::int64_t row_stride,
                              const std::int32_t* order, int count, std::int64_t readable,
                              float* mean, float* variance) {
  using Vec = typename Simd::Vec;
  mean_columns<Simd, kVecs>(source, row_stride, order, count, readable, mean,
                            [](int, Vec x) { return x; });
  if (variance == nullptr) return;
  Vec center[kVecs];
  for (int v = 0; v < kVecs; ++v) center[v] = Simd::load(mean + v * Simd::kLanes);
  mean_columns<Simd, kVecs>(source, row_stride, order, count, 0, variance, [&center](int v, Vec x) {
    const Vec distance = x - center[v];
    return Simd::mul(distance, distance);
  });
}

/// The same for one column.
template <typename Source>
void single_column(const Source* source, std::int64_t row_stride, const std::int32_t* order,
                   int count, float* mean, float* variance) {
  double sum = 0;
  for (int i = 0; i < count; ++i)
    sum += float_of(source[(order == nullptr ? i : order[i]) * row_stride]);
  const double center = sum / count;
  *mean = static_cast<float>(center);
  if (variance == nullptr) return;
  double squares = 0;
  for (int i = 0; i < count; ++i) {
    const double distance =
        float_of(source[(order == nullptr ? i : order[i]) * row_stride]) - center;
    squares += distance * distance;
  }
  *variance = static_cast<float>(squares / count);
}

template <typename Simd, typename Source>
void source_statistics(const Source* source, std::int64_t row_stride, const std::int32_t* order,
                       int count, std::int64_t readable, int size, float* mean, float* variance) {
  constexpr int kWide = Simd::kLanes == 16 ? 8 : 4;  // sums and totals in half of the registers
  int d = 0;
  const auto at = [&](float* to) { return to == nullptr ? nullptr : to + d; };
  for (; d + kWide * Simd::kLanes <= size; d += kWide * Simd::kLanes)
    column_statistics<Simd, kWide>(source + d, row_stride, order, count, readable, mean + d,
                                   at(variance));
  for (; d + 4 * Simd::kLanes <= size; d += 4 * Simd::kLanes)
    column_statistics<Simd, 4>(source + d, row_stride, order, count, readable, mean + d,
                               at(variance));
  for (; d + Simd::kLanes <= size; d += Simd::kLanes)
    column_statistics<Simd, 1>(source + d, row_stride, order, count, readable, mean + d,
                               at(variance));
  for (; d < size; ++d) single_column(source + d, row_stride, order, count, mean + d, at(variance));
}

template <typename Simd>
void statistics(const void* rows, bool is_bf16, std::int64_t row_stride, const std::int32_t* order,
                int count, std::int64_t readable, int size, float* mean, float* variance) {
  if (is_bf16) {
    source_statistics<Simd>(static_cast<const std::uint16_t*>(rows), row_stride, order, count,
                            readable, size, mean, variance);
  } else {
    source_statistics<Simd>(static_cast<const float*>(rows), row_stride, order, count, readable,
                            size, mean, variance);
  }
}

}  // namespace
}  // namespace sparsevid::ops::cpu
