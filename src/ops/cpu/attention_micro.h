// The two products of an attention tile with vector instructions: logits of a block of keys against
// a sub-tile of queries, and its weights times the values. Both keep queries in the lanes and
// broadcast words of keys and values, so that softmax runs down the columns with no reduction
// across lanes, and any list of keys will do.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsevid::ops::cpu {
namespace {

/// What a block of the list of keys looks like to the micro-kernels. A word is 4 bytes: an f32
/// element, or two bf16 elements, neighbours in head_dim for keys and in the list for values.
template <int kBlockKeys, int kGroup>
struct KeyBlock {
  static constexpr int kGroups = kBlockKeys / kGroup;
  const std::uint32_t* keys[kGroups];    ///< kGroup rows of `key_words` words each
  const std::uint32_t* values[kGroups];  ///< `head_dim` words
  float bias[kBlockKeys];
  int groups;
  int key_words;
  int head_dim;  ///< padded
  bool biased;   ///< any bias is not 0
};

/// Minimax in relative error on [0, 1): 8.6e-5, far below what rounding to bf16 adds.
constexpr float kExp2Degree3[] = {0.6951169371604919F, 0.2276444435119629F, 0.0770675390958786F};
/// Minimax in relative error on [0, 1): 8.3e-8.
constexpr float kExp2Degree5[] = {0.6931512951850891F, 0.24016444385051727F, 0.05579992011189461F,
                                  0.009017018601298332F, 0.0018671354046091437F};

template <class SimdType, class Product>
struct VectorMicro {
  using Simd = SimdType;
  using Vec = typename Simd::Vec;
  static constexpr bool kBf16 = Product::kBf16;
  static constexpr int kGroup = kBf16 ? 2 : 1;
  static constexpr int kLanes = Simd::kLanes;
  static constexpr int kVecs = Simd::kVecs;
  static constexpr int kRows = kLanes * kVecs;
  static constexpr int kBlockKeys = 96;
  static constexpr int kGroupMultiple = 6 / kGroup;
  static constexpr int kHeadDimMultiple = 16;
  // Loops of few and predictable iterations; they divide kHeadDimMultiple and kGroupMultiple.
  static constexpr int kUnrolledWords = 4;
  static constexpr int kUnrolledGroups = 3;
  using Block = KeyBlock<kBlockKeys, kGroup>;

  /// logits[key][row] = keys . q + bias; top = max over the keys.
  template <int kV>
  static void logits(const std::uint32_t* q, const Block& block, float* logits, Vec* top) {
    constexpr int kMany = kBf16 && kV <= 2 ? 12 : 6;
    for (int v = 0; v < kV; ++v) top[v] = Simd::set1(-__builtin_inff());
    const int count = block.groups * kGroup;
    int key = 0;
    for (; key + kMany <= count; key += kMany) logits_of<kV, kMany>(q, block, key, logits, top);
    if constexpr (kMany != 6)
      for (; key < count; key += 6) logits_of<kV, 6>(q, block, key, logits, top);
  }

  /// out[column][row] (+)= sum over the groups of weights[group][row] . values[group][column].
  template <int kV>
  static void accumulate(const std::uint32_t* weights, const Block& block, float* out, bool first) {
    constexpr int kMany = kV == 4 ? 6 : kV == 1 ? 16 : kLanes == 8 ? 4 : 8;
    constexpr int kFew = kMany == 6 ? 4 : kMany;
    int column = 0;
    while (column < block.head_dim) {
      const int left = block.head_dim - column;
      if (left >= kMany && (left == kMany || left - kMany >= kFew)) {
        accumulate_of<kV, kMany>(weights, block, column, out, first);
        column += kMany;
      } else {
        accumulate_of<kV, kFew>(weights, block, column, out, first);
        column += kFew;
      }
    }
  }

  /// Column by column, the rows' factors in the lanes.
  template <int kV>
  static void rescale(float* out, int head_dim, const Vec* factor) {
    for (int column = 0; column < head_dim; ++column)
      for (int v = 0; v < kV; ++v) {
        float* at = out + column * kRows + v * kLanes;
        Simd::store(at, Simd::mul(Simd::load(at), factor[v]));
      }
  }

  /// The sums as rows of `head_dim` floats, times a factor for each row.
  static void rows_of(const float* out, int head_dim, int vecs, const float* factor, float* rows) {
    for (int v = 0; v < vecs; ++v) {
      const Vec f = Simd::load(factor + v * kLanes);
      for (int column = 0; column < head_dim; column += kLanes) {
        Vec r[kLanes];
        for (int i = 0; i < kLanes; ++i)
          r[i] = Simd::mul(Simd::load(out + (column + i) * kRows + v * kLanes), f);
        Simd::transpose(r);
        for (int i = 0; i < kLanes; ++i)
          Simd::store(rows + (v * kLanes + i) * head_dim + column, r[i]);
      }
    }
  }

 private:
  // Not inlined: each kernel needs all registers for itself.
  template <int kV, int kKeys>
  [[gnu::noinline]] static void logits_of(const std::uint32_t* q, const Block& block, int key,
                                          float* logits, Vec* top) {
    const std::uint32_t* row[kKeys];
#pragma GCC unroll 16
    for (int i = 0; i < kKeys; ++i)
      row[i] = block.keys[(key + i) / kGroup] + (key + i) % kGroup * block.key_words;
    Vec sum[kKeys][kV];
#pragma GCC unroll 16
    for (int i = 0; i < kKeys; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) sum[i][v] = Simd::set1(block.bias[key + i]);
    for (int word = 0; word < block.key_words; word += kUnrolledWords)
#pragma GCC unroll 4
      for (int w = word; w < word + kUnrolledWords; ++w) {
        Vec a[kV];
#pragma GCC unroll 16
        for (int v = 0; v < kV; ++v) a[v] = Simd::load_words(q + w * kRows + v * kLanes);
#pragma GCC unroll 16
        for (int i = 0; i < kKeys; ++i) {
          const Vec b = Simd::set1_word(row[i][w]);
#pragma GCC unroll 16
          for (int v = 0; v < kV; ++v) sum[i][v] = Product::add(sum[i][v], a[v], b);
        }
      }
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) {
      Vec highest = top[v];
#pragma GCC unroll 16
      for (int i = 0; i < kKeys; ++i) {
        Simd::store(logits + (key + i) * kRows + v * kLanes, sum[i][v]);
        highest = Simd::max(highest, sum[i][v]);
      }
      top[v] = highest;
    }
  }

  template <int kV, int kColumns>
  [[gnu::noinline]] static void accumulate_of(const std::uint32_t* weights, const Block& block,
                                              int column, float* out, bool first) {
    Vec sum[kColumns][kV];
#pragma GCC unroll 16
    for (int i = 0; i < kColumns; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v)
        sum[i][v] = first ? Simd::zero() : Simd::load(out + (column + i) * kRows + v * kLanes);
    for (int group = 0; group < block.groups; group += kUnrolledGroups)
#pragma GCC unroll 3
      for (int g = group; g < group + kUnrolledGroups; ++g) {
        const std::uint32_t* value = block.values[g] + column;
        asm("" : "+r"(value));  // else GCC keeps an index register for each column
        Vec a[kV];
#pragma GCC unroll 16
        for (int v = 0; v < kV; ++v) a[v] = Simd::load_words(weights + g * kRows + v * kLanes);
#pragma GCC unroll 16
        for (int i = 0; i < kColumns; ++i) {
          const Vec b = Simd::set1_word(value[i]);
#pragma GCC unroll 16
          for (int v = 0; v < kV; ++v) sum[i][v] = Product::add(sum[i][v], a[v], b);
        }
      }
#pragma GCC unroll 16
    for (int i = 0; i < kColumns; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) Simd::store(out + (column + i) * kRows + v * kLanes, sum[i][v]);
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
