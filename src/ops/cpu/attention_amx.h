// The attention tile's products on AMX tiles of 16 rows of 64 bytes: the same packed queries, keys
// and values, the same softmax as the vector kernel. Templated on the tile instructions, so that
// tests can run the same code on a CPU without them.
//
// logits[key][row]: A = 16 keys as they lie packed, B = packed queries, 32 of head_dim a step.
// out[row][column]: A = weights, transposed in place to rows of 32 keys, B = pairs of values.
#pragma once

#include <cstdint>

#include "ops/cpu/attention_micro_bf16.h"

namespace sparsevid::ops::cpu {
namespace {

template <class Tiles>
struct AmxMicro : Bf16Micro {
  static constexpr int kTile = 16;  // rows of a tile, words of a row
  static constexpr int kBlockKeys = 128;
  static constexpr int kGroupMultiple = kTile;
  static constexpr int kHeadDimMultiple = 2 * kTile;
  using Block = KeyBlock<kBlockKeys, kGroup>;

  static void begin() { Tiles::configure(); }
  static void end() { Tiles::release(); }

  /// Room for a block of keys and one of values.
  static std::size_t block_words(int head_dim) {
    return static_cast<std::size_t>(kBlockKeys) * static_cast<std::size_t>(head_dim);
  }

  /// A tile reads 16 rows at one distance: groups that are no neighbours are copied together.
  static void prepare(Block& block, std::uint32_t* memory) {
    for (int first = 0; first < block.groups; first += kTile) {
      gather(block.keys + first, block.head_dim, memory);
      memory += kTile * block.head_dim;
      gather(block.values + first, block.head_dim, memory);
      memory += kTile * block.head_dim;
    }
  }

  template <int kV>
  static void logits(const std::uint32_t* q, const Block& block, float* logits, Vec* top) {
    for (int key = 0; key < block.groups * kGroup; key += 2 * kTile) {
      const std::uint32_t* keys = block.keys[key / kGroup];
      int v = 0;
      for (; v + 2 <= kV; v += 2)
        logits_of<2>(q + v * kLanes, keys, block.key_words, logits + key * kRows + v * kLanes);
      if (v < kV)
        logits_of<1>(q + v * kLanes, keys, block.key_words, logits + key * kRows + v * kLanes);
    }
    for (int v = 0; v < kV; ++v) top[v] = top_of(block, logits + v * kLanes);
  }

  template <int kV>
  static void accumulate(std::uint32_t* weights, const Block& block, float* out, bool first) {
    for (int v = 0; v < kV; ++v)
      for (int group = 0; group < block.groups; group += kTile)
        transpose_in_place(weights + group * kRows + v * kLanes);
    for (int column = 0; column < block.head_dim; column += 2 * kTile) {
      int v = 0;
      for (; v + 2 <= kV; v += 2) accumulate_of<2>(weights, block, v, column, out, first);
      if (v < kV) accumulate_of<1>(weights, block, v, column, out, first);
    }
  }

  template <int kV>
  static void rescale(float* out, int head_dim, const Vec* factor) {
    float factors[kV * kLanes];
    for (int v = 0; v < kV; ++v) Simd::store(factors + v * kLanes, factor[v]);
    scale_rows(out, head_dim, kV * kLanes, factors, out);
  }

  static void rows_of(const float* out, int head_dim, int vecs, const float* factor, float* rows) {
    scale_rows(out, head_dim, vecs * kLanes, factor, rows);
  }

 private:
  static void gather(const std::uint32_t** groups, int words, std::uint32_t* memory) {
    bool neighbours = true;
    for (int i = 1; i < kTile; ++i) neighbours &= groups[i] == groups[0] + i * words;
    if (neighbours) return;
    for (int i = 0; i < kTile; ++i) {
      std::uint32_t* to = memory + i * words;
      for (int word = 0; word < words; word += kLanes)
        Simd::store_words(to + word, Simd::load_words(groups[i] + word));
      groups[i] = to;
    }
  }

  static Vec top_of(const Block& block, float* logits) {
    Vec top = Simd::set1(-__builtin_inff());
    for (int key = 0; key < block.groups * kGroup; ++key) {
      Vec x = Simd::load(logits + key * kRows);
      if (block.biased) {
        x = Simd::add(x, Simd::set1(block.bias[key]));
        Simd::store(logits + key * kRows, x);
      }
      top = Simd::max(top, x);
    }
    return top;
  }

  static void transpose_in_place(std::uint32_t* words) {
    Vec r[kTile];
    for (int i = 0; i < kTile; ++i) r[i] = Simd::load_words(words + i * kRows);
    Simd::transpose(r);
    for (int i = 0; i < kTile; ++i) Simd::store_words(words + i * kRows, r[i]);
  }

  static void scale_rows(const float* from, int head_dim, int rows, const float* factor,
                         float* to) {
    for (int row = 0; row < rows; ++row) {
      const Vec f = Simd::set1(factor[row]);
      for (int column = 0; column < head_dim; column += kLanes)
        Simd::store(to + row * head_dim + column,
                    Simd::mul(Simd::load(from + row * head_dim + column), f));
    }
  }

  // Tiles 0..3 hold sums, 4 and 5 rows of the left factor, 6 and 7 columns of the right one.

  /// 32 keys by 16 or 32 queries.
  template <int kQueryTiles>
  static void logits_of(const std::uint32_t* q, const std::uint32_t* keys, int words,
                        float* logits) {
    constexpr int kRowBytes = kRows * 4;
    const int key_bytes = words * 4;
    Tiles::template zero<0>();
    Tiles::template zero<1>();
    if constexpr (kQueryTiles == 2) {
      Tiles::template zero<2>();
      Tiles::template zero<3>();
    }
    for (int word = 0; word < words; word += kTile) {
      Tiles::template load<4>(keys + word, key_bytes);
      Tiles::template load<5>(keys + kTile * words + word, key_bytes);
      Tiles::template load<6>(q + word * kRows, kRowBytes);
      Tiles::template dot<0, 4, 6>();
      Tiles::template dot<1, 5, 6>();
      if constexpr (kQueryTiles == 2) {
        Tiles::template load<7>(q + word * kRows + kTile, kRowBytes);
        Tiles::template dot<2, 4, 7>();
        Tiles::template dot<3, 5, 7>();
      }
    }
    Tiles::template store<0>(logits, kRowBytes);
    Tiles::template store<1>(logits + kTile * kRows, kRowBytes);
    if constexpr (kQueryTiles == 2) {
      Tiles::template store<2>(logits + kTile, kRowBytes);
      Tiles::template store<3>(logits + kTile * kRows + kTile, kRowBytes);
    }
  }

  /// 16 or 32 queries by 32 columns.
  template <int kQueryTiles>
  static void accumulate_of(const std::uint32_t* weights, const Block& block, int v, int column,
                            float* out, bool first) {
    constexpr int kWeightBytes = kRows * 4;
    const int row_bytes = block.head_dim * 4;
    float* at = out + v * kTile * block.head_dim + column;
    float* below = at + kTile * block.head_dim;
    load_sum<0>(at, row_bytes, first);
    load_sum<1>(at + kTile, row_bytes, first);
    if constexpr (kQueryTiles == 2) {
      load_sum<2>(below, row_bytes, first);
      load_sum<3>(below + kTile, row_bytes, first);
    }
    for (int group = 0; group < block.groups; group += kTile) {
      const std::uint32_t* weight = weights + group * kRows + v * kLanes;
      const std::uint32_t* value = block.values[group] + column;
      Tiles::template load<6>(value, row_bytes);
      Tiles::template load<7>(value + kTile, row_bytes);
      Tiles::template load<4>(weight, kWeightBytes);
      Tiles::template dot<0, 4, 6>();
      Tiles::template dot<1, 4, 7>();
      if constexpr (kQueryTiles == 2) {
        Tiles::template load<5>(weight + kLanes, kWeightBytes);
        Tiles::template dot<2, 5, 6>();
        Tiles::template dot<3, 5, 7>();
      }
    }
    Tiles::template store<0>(at, row_bytes);
    Tiles::template store<1>(at + kTile, row_bytes);
    if constexpr (kQueryTiles == 2) {
      Tiles::template store<2>(below, row_bytes);
      Tiles::template store<3>(below + kTile, row_bytes);
    }
  }

  template <int kTileIndex>
  static void load_sum(const float* from, int row_bytes, bool first) {
    if (first) {
      Tiles::template zero<kTileIndex>();
    } else {
      Tiles::template load<kTileIndex>(from, row_bytes);
    }
  }
};

}  // namespace
}  // namespace sparsevid::ops::cpu
