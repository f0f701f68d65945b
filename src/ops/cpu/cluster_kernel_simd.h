// The cluster kernels over any vector type. Included only by the kernels' own files, each compiled
// for its instruction set; so it uses nothing of the standard library that another file could end
// up sharing.
#pragma once

#include <cstdint>

#include "ops/cpu/attention_micro.h"
#include "ops/cpu/attention_pack.h"
#include "ops/cpu/cluster_kernel.h"
#include "ops/cpu/cluster_statistics_simd.h"
#include "ops/cpu/flush_denormals.h"

namespace sparsevid::ops::cpu {
namespace {

template <typename Simd>
struct FloatProduct {
  using Vec = typename Simd::Vec;
  static Vec add(Vec sum, Vec a, Vec b) { return Simd::fma(a, b, sum); }
};

constexpr int kRowStep = 6;

/// kRowStep rows with kPanels panels: every sum stays in a register.
template <typename Simd, typename Product, int kPanels>
inline void product_tile(const WordRows& rows, const std::uint32_t* panels, int words, float* out,
                         int columns) {
  using Vec = typename Simd::Vec;
  constexpr int kPerPanel = kPanel / Simd::kLanes;
  constexpr int kVecs = kPanels * kPerPanel;
  Vec sum[kRowStep][kVecs];
  for (auto& row : sum)
    for (auto& vec : row) vec = Simd::zero();
  for (int w = 0; w < words; ++w) {
    Vec b[kVecs];
    for (int v = 0; v < kVecs; ++v)
      b[v] = Simd::load_words(panels + (v / kPerPanel * words + w) * kPanel +
                              v % kPerPanel * Simd::kLanes);
    for (int r = 0; r < kRowStep; ++r) {
      const Vec a = Simd::set1_word(rows.data[r * rows.row_stride + w * rows.word_stride]);
      for (int v = 0; v < kVecs; ++v) sum[r][v] = Product::add(sum[r][v], a, b[v]);
    }
  }
  for (int r = 0; r < kRowStep; ++r)
    for (int v = 0; v < kVecs; ++v) Simd::store(out + r * columns + v * Simd::kLanes, sum[r][v]);
}

template <typename Simd, typename Product, int kPanels>
void product_panels(const WordRows& rows, int row_count, const std::uint32_t* panels, int words,
                    float* out, int columns) {
  for (int r = 0; r < row_count; r += kRowStep)
    product_tile<Simd, Product, kPanels>(
        {rows.data + r * rows.row_stride, rows.row_stride, rows.word_stride}, panels, words,
        out + r * columns, columns);
}

/// kMost panels at a time: as many as leave all sums in registers.
template <typename Simd, typename Product, int kMost>
void product(const WordRows& rows, int row_count, const std::uint32_t* panels, int panel_count,
             int words, float* out) {
  const int columns = panel_count * kPanel;
  int p = 0;
  for (; p + kMost <= panel_count; p += kMost)
    product_panels<Simd, Product, kMost>(rows, row_count, panels + p * words * kPanel, words,
                                         out + p * kPanel, columns);
  if constexpr (kMost > 2) {
    for (; p + 2 <= panel_count; p += 2)
      product_panels<Simd, Product, 2>(rows, row_count, panels + p * words * kPanel, words,
                                       out + p * kPanel, columns);
  }
  for (; p < panel_count; ++p)
    product_panels<Simd, Product, 1>(rows, row_count, panels + p * words * kPanel, words,
                                     out + p * kPanel, columns);
}

template <bool kBf16>
void pack_row(const void* row, bool is_bf16, int size, int words, std::uint32_t* to) {
  using Type = typename Element<kBf16>::Type;
  const int padded = words * static_cast<int>(sizeof(std::uint32_t) / sizeof(Type));
  auto* elements = reinterpret_cast<Type*>(to);
  if (is_bf16) {
    copy_row<kBf16>(static_cast<const std::uint16_t*>(row), size, padded, elements);
  } else {
    copy_row<kBf16>(static_cast<const float*>(row), size, padded, elements);
  }
}

/// kRows rows at a time, so that their comparisons overlap.
template <typename Simd, int kRows>
inline void nearest_of_rows(const float* products, const float* bias, int columns,
                            std::int32_t* labels) {
  using Vec = typename Simd::Vec;
  typename Simd::Ints column = Simd::lanes();
  typename Simd::Ints index[kRows];
  Vec best[kRows];
  for (int r = 0; r < kRows; ++r) {
    best[r] = Simd::load(bias) - Simd::load(products + r * columns);
    index[r] = column;
  }
  for (int c = Simd::kLanes; c < columns; c += Simd::kLanes) {
    column = Simd::add_ints(column, Simd::kLanes);
    const Vec biases = Simd::load(bias + c);
    for (int r = 0; r < kRows; ++r)
      Simd::keep_less(biases - Simd::load(products + r * columns + c), column, best[r], index[r]);
  }
  for (int r = 0; r < kRows; ++r) labels[r] = Simd::index_of_smallest(best[r], index[r]);
}

template <typename Simd>
void nearest(const float* products, const float* bias, int columns, int rows,
             std::int32_t* labels) {
  int r = 0;
  for (; r + 4 <= rows; r += 4)
    nearest_of_rows<Simd, 4>(products + r * columns, bias, columns, labels + r);
  for (; r < rows; ++r) nearest_of_rows<Simd, 1>(products + r * columns, bias, columns, labels + r);
}

template <typename Simd, int kRows, typename Exponential>
inline void add_softmax_of_rows(float* products, const float* bias, float scale, int columns,
                                float* sum, const Exponential& exp2) {
  using Vec = typename Simd::Vec;
  constexpr float kNothing = -__builtin_inff();
  const Vec scales = Simd::set1(scale);
  Vec top[kRows];
  Vec total[kRows];
  for (int r = 0; r < kRows; ++r) {
    top[r] = Simd::set1(kNothing);
    total[r] = Simd::zero();
  }
  for (int c = 0; c < columns; c += Simd::kLanes) {
    const Vec biases = Simd::load(bias + c);
    for (int r = 0; r < kRows; ++r) {
      const Vec logit = Simd::fma(Simd::load(products + r * columns + c), scales, biases);
      Simd::store(products + r * columns + c, logit);
      top[r] = Simd::max(top[r], logit);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const float largest = Simd::largest(top[r]);
    // Nothing to normalise if every cluster is empty.
    top[r] = Simd::set1(largest > kNothing ? largest : 0);
  }
  for (int c = 0; c < columns; c += Simd::kLanes) {
    for (int r = 0; r < kRows; ++r) {
      const Vec weight = exp2(Simd::load(products + r * columns + c) - top[r]);
      Simd::store(products + r * columns + c, weight);
      total[r] = Simd::add(total[r], weight);
    }
  }
  for (int r = 0; r < kRows; ++r)
    total[r] = Simd::reciprocal_or_zero(Simd::set1(Simd::total(total[r])));
  for (int c = 0; c < columns; c += Simd::kLanes) {
    Vec added = Simd::load(sum + c);
    for (int r = 0; r < kRows; ++r)
      added = Simd::fma(Simd::load(products + r * columns + c), total[r], added);
    Simd::store(sum + c, added);
  }
}

template <typename Simd, bool kBf16>
void add_softmax(float* products, const float* bias, float scale, int columns, int rows,
                 float* sum) {
  const FlushDenormals flush;
  const auto exp2 = [](typename Simd::Vec x) {
    if constexpr (kBf16) return Simd::exp2(x, kExp2Degree3);
    return Simd::exp2(x, kExp2Degree5);
  };
  int r = 0;
  for (; r + 4 <= rows; r += 4)
    add_softmax_of_rows<Simd, 4>(products + r * columns, bias, scale, columns, sum, exp2);
  for (; r < rows; ++r)
    add_softmax_of_rows<Simd, 1>(products + r * columns, bias, scale, columns, sum, exp2);
}

template <typename Simd>
void raise_top(const float* products, int columns, int rows, float* top) {
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; c += Simd::kLanes)
      Simd::store(top + c, Simd::max(Simd::load(top + c), Simd::load(products + r * columns + c)));
}

template <typename Simd>
void weigh_bands(const BandWeights& block) {
  const FlushDenormals flush;
  using Vec = typename Simd::Vec;
  const Vec width = Simd::set1(block.width);
  for (int k = 0; k < block.keys; ++k) {
    const bool seen_by_all = block.key_places[0][k] < 0;
    const Vec places[2] = {Simd::set1(block.key_places[0][k]), Simd::set1(block.key_places[1][k])};
    for (int q = 0; q < block.queries; q += Simd::kLanes) {
      const int at = k * block.queries + q;
      const Vec weight =
          Simd::exp2(Simd::load(block.logits + at) - Simd::load(block.top + q), kExp2Degree5);
      const auto put = [&](int kind, Vec value) {
        Simd::store(block.weights[kind] + at, value);
        Simd::store(block.totals[kind] + q, Simd::add(Simd::load(block.totals[kind] + q), value));
      };
      put(0, weight);
      for (int band = 0; band < 2; ++band)
        put(band + 1, seen_by_all ? weight
                                  : Simd::where_within(
                                        Simd::load(block.query_places[band] + q) - places[band],
                                        width, weight));
    }
  }
}

inline void weigh_spread(const float* products, int columns, const float* weight, int rows,
                         int count, const float* scores, float* out) {
  for (int r = 0; r < rows; ++r) {
    const float* product = products + r * columns;
    const float* score = scores + static_cast<std::int64_t>(r) * count;
    float* to = out + static_cast<std::int64_t>(r) * count;
    for (int c = 0; c < count; ++c) to[c] = score[c] * __builtin_sqrtf(product[c]) * weight[c];
  }
}

template <typename Simd, typename Source>
void add_source_rows(const Source* source, std::int64_t row_stride, int rows, int size,
                     const std::int32_t* labels, float* sums) {
  for (int r = 0; r < rows; ++r, source += row_stride) {
    float* sum = sums + static_cast<std::int64_t>(labels[r]) * size;
    int d = 0;
    for (; d + Simd::kLanes <= size; d += Simd::kLanes)
      Simd::store(sum + d, Simd::add(Simd::load(sum + d), load_floats<Simd>(source + d)));
    for (; d < size; ++d) sum[d] += float_of(source[d]);
  }
}

template <typename Simd>
void add_rows(const void* rows, bool is_bf16, std::int64_t row_stride, int row_count, int size,
              const std::int32_t* labels, float* sums) {
  if (is_bf16) {
    add_source_rows<Simd>(static_cast<const std::uint16_t*>(rows), row_stride, row_count, size,
                          labels, sums);
  } else {
    add_source_rows<Simd>(static_cast<const float*>(rows), row_stride, row_count, size, labels,
                          sums);
  }
}

}  // namespace
}  // namespace sparsevid::ops::cpu
