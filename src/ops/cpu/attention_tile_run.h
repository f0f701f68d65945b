// The attention tile on any micro-kernel: blocks of keys outside, sub-tiles of queries inside, so
// that a block is read from memory once for all queries of the tile; softmax with a running
// maximum. Included only by the kernels' own files, each compiled for its instruction set.
#pragma once

#include "ops/cpu/attention_micro.h"
#include "ops/cpu/attention_pack.h"
#include "ops/cpu/attention_tile.h"
#include "ops/cpu/cluster_statistics_simd.h"
#include "ops/cpu/flush_denormals.h"

namespace sparsevid::ops::cpu {
namespace {

/// The running maximum is raised only when a logit passes it by this much (as a power of two):
/// weights up to 2^8 cost no precision in floating point, and rescaling the sums is rarely needed.
constexpr float kRescaleThreshold = 8;
constexpr float kLog2E = 1.44269504088896340736F;

template <class Micro>
class TileRun {
 public:
  static std::size_t scratch_bytes(int head_dim, int rows) {
    const int padded = padded_head_dim(head_dim);
    const std::size_t subs = static_cast<std::size_t>((rows + kRows - 1) / kRows);
    return 4 * (subs * sub_floats(padded) + shared_floats(padded));
  }

  static void run(const AttentionTile& tile) {
    const FlushDenormals flush;
    TileRun work(tile);
    work.load_queries();
    for (int group = 0; group < tile.group_count; group += Block::kGroups) {
      work.load_block(group);
      for (int s = 0; s < work.subs_; ++s) work.process(s);
    }
    // Stores wait for their cache lines one after the other, unless asked for together.
    for (int i = 0; i < tile.out.count; ++i) prefetch_row(tile.out, i, tile.head_dim);
    for (int s = 0; s < work.subs_; ++s) work.store(s);
  }

 private:
  using Simd = typename Micro::Simd;
  using Vec = typename Micro::Vec;
  using Block = typename Micro::Block;
  static constexpr int kLanes = Micro::kLanes;
  static constexpr int kRows = Micro::kRows;
  static constexpr int kGroup = Micro::kGroup;
  static constexpr float kMinusInfinity = -__builtin_inff();
  enum class Visible { none, some, all };

  /// State of up to kRows queries; the sums lie in scratch.
  struct SubTile {
    int first_row;
    int rows;
    int vecs;
    std::uint32_t* q;  ///< [words][kRows]
    float* out;        ///< sums of weights times values, as the micro-kernel keeps them
    float* top;        ///< [kRows] maximum that the sums are relative to
    float* total;      ///< [kRows] sum of weights
  };

  static int padded_head_dim(int head_dim) {
    return (head_dim + Micro::kHeadDimMultiple - 1) / Micro::kHeadDimMultiple *
           Micro::kHeadDimMultiple;
  }
  static std::size_t sub_floats(int padded) {
    return static_cast<std::size_t>(kRows) * static_cast<std::size_t>(padded / kGroup + padded + 2);
  }
  static std::size_t shared_floats(int padded) {
    const int rows = Micro::kBlockKeys + Micro::kBlockKeys / kGroup + padded;
    return static_cast<std::size_t>(kRows) * static_cast<std::size_t>(rows);
  }

  explicit TileRun(const AttentionTile& tile)
      : tile_(tile), padded_(padded_head_dim(tile.head_dim)), words_(padded_ / kGroup) {
    auto* memory = static_cast<float*>(tile.scratch);
    logits_ = memory;
    weights_ = reinterpret_cast<std::uint32_t*>(logits_ + Micro::kBlockKeys * kRows);
    rows_ = logits_ + (Micro::kBlockKeys + Micro::kBlockKeys / kGroup) * kRows;
    subs_memory_ = memory + shared_floats(padded_);
    vecs_ = (tile.q.count + kLanes - 1) / kLanes;
    subs_ = (vecs_ + Micro::kVecs - 1) / Micro::kVecs;
    to_exponent_ = tile.scale * kLog2E;
    block_.key_words = words_;
    block_.head_dim = padded_;
  }

  /// Vectors are spread evenly over the sub-tiles.
  SubTile sub(int s) const {
    const int first_vec = vecs_ * s / subs_;
    const int last_vec = vecs_ * (s + 1) / subs_;
    const int first_row = first_vec * kLanes;
    const int end = last_vec * kLanes < tile_.q.count ? last_vec * kLanes : tile_.q.count;
    float* memory = subs_memory_ + static_cast<std::size_t>(s) * sub_floats(padded_);
    float* out = memory + words_ * kRows;
    float* top = out + padded_ * kRows;
    return {first_row,
            end - first_row,
            last_vec - first_vec,
            reinterpret_cast<std::uint32_t*>(memory),
            out,
            top,
            top + kRows};
  }

  void load_queries() {
    using Type = typename Element<Micro::kBf16>::Type;
    for (int s = 0; s < subs_; ++s) {
      const SubTile sub_tile = sub(s);
      auto* rows = reinterpret_cast<Type*>(rows_);
      for (int i = 0; i < sub_tile.rows; ++i)
        read_row<Micro::kBf16>(tile_.q, sub_tile.first_row + i, tile_.head_dim, padded_,
                               rows + i * padded_);
      for (int i = sub_tile.rows * padded_; i < sub_tile.vecs * kLanes * padded_; ++i) rows[i] = 0;
      const auto* words = reinterpret_cast<const std::uint32_t*>(rows_);
      for (int v = 0; v < sub_tile.vecs; ++v)
        for (int w = 0; w < words_; w += kLanes) transpose_words(words, v, w, sub_tile.q);
      for (int i = 0; i < kRows; ++i) {
        sub_tile.top[i] = kMinusInfinity;
        sub_tile.total[i] = 0;
      }
    }
  }

  /// kLanes rows and as many of their words, fewer at the end of a row.
  void transpose_words(const std::uint32_t* rows, int v, int first_word, std::uint32_t* q) const {
    Vec r[kLanes];
    for (int i = 0; i < kLanes; ++i)
      r[i] = Simd::load_words(rows + (v * kLanes + i) * words_ + first_word);
    Simd::transpose(r);
    for (int i = 0; i < kLanes && first_word + i < words_; ++i)
      Simd::store_words(q + (first_word + i) * kRows + v * kLanes, r[i]);
  }

  void load_block(int first_group) {
    const int left = tile_.group_count - first_group;
    first_group_ = first_group;
    block_.groups = left < Block::kGroups ? left : Block::kGroups;
    const auto* keys = static_cast<const std::uint32_t*>(tile_.keys);
    const auto* values = static_cast<const std::uint32_t*>(tile_.values);
    std::uint32_t bias_bits = 0;
    for (int g = 0; g < block_.groups; ++g) {
      const KeyGroup& group = tile_.groups[first_group + g];
      const std::int64_t offset = static_cast<std::int64_t>(group.index) * padded_;
      block_.keys[g] = keys + offset;
      block_.values[g] = values + offset;
      for (int i = 0; i < kGroup; ++i) {
        block_.bias[g * kGroup + i] = group.bias[i];
        bias_bits |= __builtin_bit_cast(std::uint32_t, group.bias[i]);
      }
    }
    block_.biased = bias_bits != 0;
  }

  /// Asks for group `g` of the next block, which may lie anywhere, while there is arithmetic to do.
  void prefetch(int g) const {
    const int next = first_group_ + Block::kGroups + g;
    if (next >= tile_.group_count) return;
    constexpr int kLine = 64;
    const std::int64_t bytes = static_cast<std::int64_t>(padded_) * 4;
    const std::int64_t offset = tile_.groups[next].index * bytes;
    const char* keys = static_cast<const char*>(tile_.keys) + offset;
    const char* values = static_cast<const char*>(tile_.values) + offset;
    for (std::int64_t i = 0; i < bytes; i += kLine) {
      __builtin_prefetch(keys + i, 0, 2);
      __builtin_prefetch(values + i, 0, 2);
    }
  }

  Visible visible(const SubTile& sub_tile) const {
    if (tile_.windows == nullptr) return Visible::all;
    bool any = false;
    bool all = true;
    for (int key = 0; key < block_.groups * kGroup; ++key) {
      const KeyWindow window = tile_.windows[first_group_ * kGroup + key];
      any |= window.begin < sub_tile.first_row + sub_tile.rows && window.end > sub_tile.first_row;
      all &= window.begin <= sub_tile.first_row && window.end >= sub_tile.first_row + sub_tile.rows;
    }
    return all ? Visible::all : any ? Visible::some : Visible::none;
  }

  void process(int s) {
    const SubTile sub_tile = sub(s);
    const Visible seen = visible(sub_tile);
    if (seen == Visible::none) return;
    if constexpr (Micro::kVecs == 4) {
      if (sub_tile.vecs == 4) return process_block<4>(s, sub_tile, seen);
      if (sub_tile.vecs == 3) return process_block<3>(s, sub_tile, seen);
    }
    if (sub_tile.vecs == 2) return process_block<2>(s, sub_tile, seen);
    process_block<1>(s, sub_tile, seen);
  }

  template <int kV>
  void process_block(int s, const SubTile& sub_tile, Visible seen) {
    Vec top[kV];
    Micro::template logits<kV>(sub_tile.q, block_, logits_, top);
    if (tile_.bias != nullptr) add_bias(sub_tile);
    if (seen == Visible::some) hide<kV>(sub_tile);
    if (tile_.bias != nullptr || seen == Visible::some) top_of<kV>(top);
    const bool first = (started_ >> s & 1) == 0;
    raise_top<kV>(sub_tile, top, first);
    weigh<kV>(s, sub_tile);
    Micro::template accumulate<kV>(weights_, block_, sub_tile.out, first);
    started_ |= std::uint64_t{1} << s;
  }

  void add_bias(const SubTile& sub_tile) {
    const float inverse_scale = 1 / tile_.scale;
    for (int g = 0; g < block_.groups; ++g)
      for (int i = 0; i < kGroup; ++i) {
        const int key = tile_.groups[first_group_ + g].index * kGroup + i;
        if (key >= tile_.bias_keys) continue;
        const float* from = tile_.bias + key * tile_.bias_key_stride;
        float* to = logits_ + (g * kGroup + i) * kRows;
        for (int row = 0; row < sub_tile.rows; ++row)
          to[row] += inverse_scale * from[(sub_tile.first_row + row) * tile_.bias_row_stride];
      }
  }

  template <int kV>
  void hide(const SubTile& sub_tile) {
    for (int key = 0; key < block_.groups * kGroup; ++key) {
      const KeyWindow window = tile_.windows[first_group_ * kGroup + key];
      for (int v = 0; v < kV; ++v) {
        float* at = logits_ + key * kRows + v * kLanes;
        Simd::store(at, Simd::keep_rows(Simd::load(at), sub_tile.first_row + v * kLanes,
                                        window.begin, window.end));
      }
    }
  }

  template <int kV>
  void top_of(Vec* top) const {
    for (int v = 0; v < kV; ++v) {
      top[v] = Simd::set1(kMinusInfinity);
      for (int key = 0; key < block_.groups * kGroup; ++key)
        top[v] = Simd::max(top[v], Simd::load(logits_ + key * kRows + v * kLanes));
    }
  }

  /// Raises the running maximum to `top` where that is needed, and the sums with it.
  template <int kV>
  void raise_top(const SubTile& sub_tile, const Vec* top, bool first) {
    const Vec threshold = Simd::set1(kRescaleThreshold / to_exponent_);
    bool needed = false;
    for (int v = 0; v < kV; ++v)
      needed |=
          Simd::any_greater(top[v], Simd::add(Simd::load(sub_tile.top + v * kLanes), threshold));
    if (!needed) return;
    Vec factor[kV];
    for (int v = 0; v < kV; ++v) {
      const Vec old_top = Simd::load(sub_tile.top + v * kLanes);
      const Vec new_top = Simd::max(old_top, top[v]);
      Simd::store(sub_tile.top + v * kLanes, new_top);
      factor[v] = exp2(Simd::fms(old_top, Simd::set1(to_exponent_), shift_of(new_top)));
      float* total = sub_tile.total + v * kLanes;
      Simd::store(total, Simd::mul(Simd::load(total), factor[v]));
    }
    if (!first) Micro::template rescale<kV>(sub_tile.out, padded_, factor);
  }

  /// What exponents are relative to: 0 while no key has been seen, as -inf - -inf is no number.
  Vec shift_of(Vec top) const {
    return Simd::mul(Simd::finite_or(top, Simd::zero()), Simd::set1(to_exponent_));
  }

  static Vec exp2(Vec x) {
    if constexpr (Micro::kBf16) return Simd::exp2(x, kExp2Degree3);
    return Simd::exp2(x, kExp2Degree5);
  }

  /// Logits to weights, and their sums.
  template <int kV>
  [[gnu::noinline]] void weigh(int s, const SubTile& sub_tile) {
    const Vec to_exponent = Simd::set1(to_exponent_);
    Vec shift[kV];
    Vec total[kV];
    for (int v = 0; v < kV; ++v) {
      shift[v] = shift_of(Simd::load(sub_tile.top + v * kLanes));
      total[v] = Simd::load(sub_tile.total + v * kLanes);
    }
    for (int g = 0; g < block_.groups; ++g) {
      if (g % subs_ == s) prefetch(g);
      for (int v = 0; v < kV; ++v) {
        const float* from = logits_ + g * kGroup * kRows + v * kLanes;
        std::uint32_t* to = weights_ + g * kRows + v * kLanes;
        const Vec first = exp2(Simd::fms(Simd::load(from), to_exponent, shift[v]));
        total[v] = Simd::add(total[v], first);
        if constexpr (kGroup == 2) {
          const Vec second = exp2(Simd::fms(Simd::load(from + kRows), to_exponent, shift[v]));
          total[v] = Simd::add(total[v], second);
          Simd::store_words(to, Micro::pair(first, second));
        } else {
          Simd::store_words(to, first);
        }
      }
    }
    for (int v = 0; v < kV; ++v) Simd::store(sub_tile.total + v * kLanes, total[v]);
  }

  void store(int s) {
    const SubTile sub_tile = sub(s);
    for (int v = 0; v < sub_tile.vecs; ++v) {
      float* total = sub_tile.total + v * kLanes;
      Simd::store(total, Simd::reciprocal_or_zero(Simd::load(total)));
    }
    if ((started_ >> s & 1) != 0) {
      Micro::rows_of(sub_tile.out, padded_, sub_tile.vecs, sub_tile.total, rows_);
    } else {
      for (int i = 0; i < sub_tile.rows * padded_; ++i) rows_[i] = 0;
    }
    for (int i = 0; i < sub_tile.rows; ++i)
      write_row(tile_.out, sub_tile.first_row + i, tile_.head_dim, rows_ + i * padded_);
  }

  const AttentionTile& tile_;
  int padded_;
  int words_;
  int vecs_;
  int subs_;
  int first_group_ = 0;
  std::uint64_t started_ = 0;  // a bit for each sub-tile that has seen a key
  float to_exponent_;
  float* logits_;           // [kBlockKeys][kRows]
  std::uint32_t* weights_;  // [kBlockKeys / kGroup][kRows]
  float* rows_;             // [kRows][padded]
  float* subs_memory_;
  Block block_;
};

template <class Micro>
constexpr AttentionKernel kernel_of(const char* name, int tile_rows) {
  return {name,
          Micro::kGroup,
          Micro::kGroupMultiple,
          1,
          tile_rows,
          Micro::kBf16 ? 2 : 4,
          Micro::kHeadDimMultiple,
          TileRun<Micro>::scratch_bytes,
          pack_keys<Micro::kBf16, Micro::kHeadDimMultiple>,
          pack_values<Micro::kBf16, Micro::kHeadDimMultiple>,
          TileRun<Micro>::run,
          statistics<typename Micro::Simd>};
}

}  // namespace
}  // namespace sparsevid::ops::cpu
