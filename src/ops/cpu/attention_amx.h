// The attention tile on AMX: tiles of 16 rows of 64 bytes. Templated on the tile instructions, so
// that tests can run the same code on a CPU without them.
//
// logits[key][query]: A = 16 keys as they lie packed, B = packed queries, 32 of head_dim a step.
// sums[query][column]: A = weights, transposed to rows of 32 keys, B = pairs of values.
//
// Keys come in units of 32, blocks of kBlockUnits; queries in lanes of 16, pairs of lanes (what the
// eight tile registers multiply with a unit) and groups of up to four lanes (what shares a block
// while it is in the first-level cache). The logits of an item, a unit and a pair, are multiplied
// out before the weights of the item before are taken: vectors and tiles work side by side, and no
// load waits for a tile that is still being stored.
#pragma once

#include <cstdint>

#include "ops/cpu/attention_micro_bf16.h"
#include "ops/cpu/attention_pack.h"
#include "ops/cpu/attention_tile.h"
#include "ops/cpu/cluster_statistics_simd.h"
#include "ops/cpu/flush_denormals.h"

namespace sparsevid::ops::cpu {
namespace {

template <class Tiles>
class AmxRun {
 public:
  static constexpr int kTile = 16;  // rows of a tile, words of a row, queries of a lane
  static constexpr int kUnitGroups = kTile;
  static constexpr int kTileRows = 256;
  static constexpr int kHeadDimMultiple = 2 * kTile;

  static std::size_t scratch_bytes(int head_dim, int rows) {
    const int padded = padded_head_dim(head_dim);
    const auto lanes = static_cast<std::size_t>((rows + kTile - 1) / kTile);
    return sizeof(float) * (shared_words(padded) + lanes * lane_words(padded));
  }

  static void run(const AttentionTile& tile) {
    const FlushDenormals flush;
    AmxRun work(tile);
    work.load_queries();
    Tiles::configure();
    const int units = tile.group_count / kUnitGroups;
    const int blocks = (units + kBlockUnits - 1) / kBlockUnits;
    for (int b = 0; b < blocks; ++b) {
      work.load_block(units * b / blocks, units * (b + 1) / blocks);
      work.process_block();
    }
    Tiles::release();
    // Stores wait for their cache lines one after the other, unless asked for together.
    for (int i = 0; i < tile.out.count; ++i) prefetch_row(tile.out, i, tile.head_dim);
    for (int lane = 0; lane < work.lanes_; ++lane) work.store(lane);
  }

 private:
  using Simd = Avx512;
  using Vec = Simd::Vec;
  static constexpr int kBlockUnits = 8;
  static constexpr int kUnitKeys = 2 * kTile;
  static constexpr int kTileWords = kTile * kTile;
  static constexpr int kTileBytes = kTile * 4;  // from one row of a tile in scratch to the next
  static constexpr int kGroupLanes = 4;
  static constexpr int kMostLanes = kTileRows / kTile;
  static constexpr float kMinusInfinity = -__builtin_inff();
  static constexpr float kLog2E = 1.44269504088896340736F;
  /// As in attention_tile_run.h.
  static constexpr float kRescaleThreshold = 8;
  enum class Visible : std::uint8_t { none, some, all };

  /// 32 keys of the list.
  struct Unit {
    const std::uint32_t* keys;
    const std::uint32_t* values;
    const KeyGroup* groups;
    bool biased;
  };

  /// 16 queries: tiles of head_dim words, tiles of sums, and what the sums are relative to.
  struct Lane {
    std::uint32_t* q;
    float* out;
    float* top;    ///< [16] maximum that the sums are relative to
    float* shift;  ///< [16] the same as an exponent; 0 while no key has been seen
    float* limit;  ///< [16] exponents above it raise the maximum
    float* total;  ///< [16] sum of weights
  };

  /// A unit of the block by one or two lanes of a group.
  struct Item {
    int unit;
    int lane;
    int lanes;      ///< 0: nothing
    float* logits;  ///< [lane][32 keys][16 queries]
  };

  static int padded_head_dim(int head_dim) {
    return (head_dim + kHeadDimMultiple - 1) / kHeadDimMultiple * kHeadDimMultiple;
  }
  static std::size_t lane_words(int padded) {
    return static_cast<std::size_t>(kTile) * static_cast<std::size_t>(padded / 2 + padded + 4);
  }
  static constexpr int kLogitWords = 2 * 2 * kTileWords;
  static std::size_t shared_words(int padded) {
    constexpr std::size_t kFixed = 2 * kLogitWords + (kGroupLanes * kBlockUnits + 1) * kTileWords;
    constexpr std::size_t kOfChannel = kTile + kBlockUnits * 2 * kTile;
    return kFixed + kOfChannel * static_cast<std::size_t>(padded);
  }

  explicit AmxRun(const AttentionTile& tile)
      : tile_(tile),
        padded_(padded_head_dim(tile.head_dim)),
        words_(padded_ / 2),
        lanes_((tile.q.count + kTile - 1) / kTile),
        groups_((lanes_ + kGroupLanes - 1) / kGroupLanes),
        lane_words_(static_cast<std::int64_t>(lane_words(padded_))),
        to_exponent_(tile.scale * kLog2E) {
    logits_ = static_cast<float*>(tile.scratch);
    weights_ = reinterpret_cast<std::uint32_t*>(logits_ + 2 * kLogitWords);
    pairs_ = weights_ + kGroupLanes * kBlockUnits * kTileWords;
    rows_ = reinterpret_cast<float*>(pairs_ + kTileWords);
    gathered_ = reinterpret_cast<std::uint32_t*>(rows_ + kTile * padded_);
    lane_memory_ = reinterpret_cast<float*>(gathered_ + kBlockUnits * 2 * kTile * padded_);
  }

  Lane lane(int index) const {
    float* memory = lane_memory_ + static_cast<std::int64_t>(index) * lane_words_;
    float* out = memory + kTile * words_;
    float* top = out + kTile * padded_;
    return {reinterpret_cast<std::uint32_t*>(memory),
            out,
            top,
            top + kTile,
            top + 2 * kTile,
            top + 3 * kTile};
  }

  void load_queries() {
    for (int l = 0; l < lanes_; ++l) {
      const Lane to = lane(l);
      const std::uint32_t* rows[kTile];
      for (int i = 0; i < kTile; ++i) rows[i] = query_row(l * kTile + i, i);
      for (int w = 0; w < words_; w += kTile) {
        Vec r[kTile];
        for (int i = 0; i < kTile; ++i) r[i] = Simd::load_words(rows[i] + w);
        Simd::transpose(r);
        for (int i = 0; i < kTile; ++i) Simd::store_words(to.q + (w + i) * kTile, r[i]);
      }
      Simd::store(to.top, Simd::set1(kMinusInfinity));
      Simd::store(to.shift, Simd::zero());
      Simd::store(to.limit, Simd::set1(kMinusInfinity));
      Simd::store(to.total, Simd::zero());
    }
  }

  /// A row where it lies if nothing has to be added to it, else a copy.
  const std::uint32_t* query_row(int row, int place) const {
    auto* copy = reinterpret_cast<std::uint16_t*>(rows_) + place * padded_;
    if (row < tile_.q.count && tile_.q.is_bf16 && tile_.head_dim == padded_) {
      prefetch_row(tile_.q, row + kRowsAhead, padded_);
      return reinterpret_cast<const std::uint32_t*>(
          static_cast<const std::uint16_t*>(tile_.q.data) + row_offset(tile_.q, row));
    }
    if (row < tile_.q.count) {
      read_row<true>(tile_.q, row, tile_.head_dim, padded_, copy);
    } else {
      for (int d = 0; d < padded_; ++d) copy[d] = 0;
    }
    return reinterpret_cast<const std::uint32_t*>(copy);
  }

  /// Units [first, end) of the list.
  void load_block(int first, int end) {
    const int first_group = first * kUnitGroups;
    unit_count_ = end - first;
    next_group_ = end * kUnitGroups;
    const auto* keys = static_cast<const std::uint32_t*>(tile_.keys);
    const auto* values = static_cast<const std::uint32_t*>(tile_.values);
    for (int u = 0; u < unit_count_; ++u) {
      const KeyGroup* groups = tile_.groups + first_group + u * kUnitGroups;
      bool neighbours = true;
      std::uint32_t bias_bits = 0;
      for (int g = 0; g < kUnitGroups; ++g) {
        neighbours &= groups[g].index == groups[0].index + g;
        bias_bits |= __builtin_bit_cast(std::uint32_t, groups[g].bias[0]) |
                     __builtin_bit_cast(std::uint32_t, groups[g].bias[1]);
      }
      const std::int64_t offset = static_cast<std::int64_t>(groups[0].index) * padded_;
      units_[u] = {keys + offset, values + offset, groups, bias_bits != 0};
      if (neighbours) continue;
      std::uint32_t* to = gathered_ + u * 2 * kTile * padded_;
      units_[u].keys = gather(keys, groups, to);
      units_[u].values = gather(values, groups, to + kTile * padded_);
    }
  }

  /// A tile reads 16 rows at one distance: groups that are no neighbours are copied together.
  const std::uint32_t* gather(const std::uint32_t* from, const KeyGroup* groups,
                              std::uint32_t* memory) const {
    for (int g = 0; g < kUnitGroups; ++g) {
      const std::uint32_t* row = from + static_cast<std::int64_t>(groups[g].index) * padded_;
      for (int word = 0; word < padded_; word += kTile)
        Simd::store_words(memory + g * padded_ + word, Simd::load_words(row + word));
    }
    return memory;
  }

  /// What is asked for of the next block while the weights of a lane are taken: the lane's share of
  /// the rows of a unit, a few cache lines at a time so that they arrive behind the arithmetic.
  struct Ahead {
    const KeyGroup* groups;
    int row;  // of the unit: keys of the first group, its values, keys of the second
    int end;
    int step;  // lines at a time
    int left;  // of this row
    const std::uint32_t* line;
  };
  Ahead ahead(int unit, int lane_index) const {
    const int first = next_group_ + unit * kUnitGroups;
    if (first >= tile_.group_count) return {};
    constexpr int kRows = 2 * kUnitGroups;
    Ahead next{tile_.groups + first,
               kRows * lane_index / lanes_,
               kRows * (lane_index + 1) / lanes_,
               0,
               0,
               nullptr};
    next.step = ((next.end - next.row) * (padded_ / kTile) + kTile - 1) / kTile;
    return next;
  }
  void prefetch(Ahead& next) const {
    for (int i = 0; i < next.step; ++i) {
      if (next.left == 0) {
        if (next.row == next.end) return;
        const std::int64_t offset =
            static_cast<std::int64_t>(next.groups[next.row / 2].index) * padded_;
        next.line =
            static_cast<const std::uint32_t*>(next.row % 2 == 0 ? tile_.keys : tile_.values) +
            offset;
        next.left = padded_ / kTile;
        ++next.row;
      }
      __builtin_prefetch(next.line, 0, 2);
      next.line += kTile;
      --next.left;
    }
  }

  /// Whether the lanes of an item see the keys of its unit.
  Visible visible(const Item& item) const {
    const int begin = item.lane * kTile;
    const int last = (item.lane + item.lanes) * kTile;
    const int end = last < tile_.q.count ? last : tile_.q.count;
    const KeyWindow* windows = windows_of(item);
    bool any = false;
    bool all = true;
    for (int key = 0; key < kUnitKeys; ++key) {
      any |= windows[key].begin < end && windows[key].end > begin;
      all &= windows[key].begin <= begin && windows[key].end >= end;
    }
    return all ? Visible::all : any ? Visible::some : Visible::none;
  }
  const KeyWindow* windows_of(const Item& item) const {
    return tile_.windows + (units_[item.unit].groups - tile_.groups) * 2;
  }

  void process_block() {
    for (int g = 0; g < groups_; ++g) {
      // Pairs are spread evenly, so that only the last lane can be without a partner.
      const int pairs = (lanes_ + 1) / 2;
      const int first = pairs * g / groups_ * 2;
      const int end = pairs * (g + 1) / groups_ * 2;
      const int count = (end < lanes_ ? end : lanes_) - first;
      group_first_ = first;
      Item before{0, 0, 0, logits_};
      float* other = logits_ + kLogitWords;  // not those of the item before
      for (int u = 0; u < unit_count_; ++u) {
        for (int l = 0; l < count; l += 2) {
          const Item item{u, first + l, count - l < 2 ? 1 : 2, other};
          if (tile_.windows != nullptr && visible(item) == Visible::none) {
            clear_weights(item);
            continue;
          }
          if (item.lanes == 2) {
            multiply<2>(item);
          } else {
            multiply<1>(item);
          }
          weigh(before);
          other = before.logits;
          before = item;
        }
      }
      if (before.lanes == 0) continue;  // the group sees nothing of the block
      weigh(before);
      accumulate(first, count);
    }
  }

  // Tiles 0..3 hold sums, 4 and 5 rows of the left factor, 6 and 7 columns of the right one.

  /// The logits of an item.
  template <int kLanes>
  void multiply(const Item& item) const {
    float* logits = item.logits;
    const std::uint32_t* keys = units_[item.unit].keys;
    const std::uint32_t* q = lane(item.lane).q;
    const std::uint32_t* q_next = q + (kLanes - 1) * lane_words_;
    const int key_bytes = words_ * 4;
    Tiles::template zero<0>();
    Tiles::template zero<1>();
    if constexpr (kLanes == 2) {
      Tiles::template zero<2>();
      Tiles::template zero<3>();
    }
    for (int word = 0; word < words_; word += kTile) {
      Tiles::template load<6>(q + word * kTile, kTileBytes);
      Tiles::template load<4>(keys + word, key_bytes);
      Tiles::template dot<0, 4, 6>();
      Tiles::template load<5>(keys + kTile * words_ + word, key_bytes);
      Tiles::template dot<1, 5, 6>();
      if constexpr (kLanes == 2) {
        Tiles::template load<7>(q_next + word * kTile, kTileBytes);
        Tiles::template dot<2, 4, 7>();
        Tiles::template dot<3, 5, 7>();
      }
    }
    Tiles::template store<0>(logits, kTileBytes);
    Tiles::template store<1>(logits + kTileWords, kTileBytes);
    if constexpr (kLanes == 2) {
      Tiles::template store<2>(logits + 2 * kTileWords, kTileBytes);
      Tiles::template store<3>(logits + 3 * kTileWords, kTileBytes);
    }
  }

  /// Logits to weights.
  void weigh(const Item& item) {
    float* logits = item.logits;
    const Unit& unit = units_[item.unit];
    for (int l = item.lane; l < item.lane + item.lanes; ++l, logits += 2 * kTileWords) {
      if (tile_.bias != nullptr || tile_.windows != nullptr) change({item.unit, l, 1, logits});
      // The first keys always raise it.
      if (!has_top_[l]) raise_top(item.unit, l, logits);
      has_top_[l] = true;
      std::uint32_t* to = weights_of(l - group_first_, item.unit);
      const Ahead next = ahead(item.unit, l);
      if (unit.biased ? weigh_lane<true>(unit, lane(l), logits, next, to)
                      : weigh_lane<false>(unit, lane(l), logits, next, to))
        continue;
      raise_top(item.unit, l, logits);
      weigh_lane<true>(unit, lane(l), logits, Ahead{}, to);
    }
  }

  std::uint32_t* weights_of(int lane_of_group, int unit) const {
    return weights_ + (lane_of_group * kBlockUnits + unit) * kTileWords;
  }

  void clear_weights(const Item& item) {
    for (int l = item.lane; l < item.lane + item.lanes; ++l) {
      std::uint32_t* weights = weights_of(l - group_first_, item.unit);
      for (int i = 0; i < kTileWords; ++i) weights[i] = 0;
    }
  }

  /// Biases of pairs and windows on the logits of one lane.
  [[gnu::noinline]] void change(const Item& item) const {
    const Unit& unit = units_[item.unit];
    if (tile_.bias != nullptr) add_bias(unit, item.lane, item.logits);
    if (tile_.windows != nullptr && visible(item) != Visible::all)
      hide(unit, item.lane, item.logits);
  }

  void add_bias(const Unit& unit, int lane_index, float* logits) const {
    const float inverse_scale = 1 / tile_.scale;
    const int first_row = lane_index * kTile;
    for (int i = 0; i < kUnitKeys; ++i) {
      const int key = unit.groups[i / 2].index * 2 + i % 2;
      if (key >= tile_.bias_keys) continue;
      const float* from = tile_.bias + key * tile_.bias_key_stride;
      for (int row = 0; row < kTile && first_row + row < tile_.q.count; ++row)
        logits[i * kTile + row] += inverse_scale * from[(first_row + row) * tile_.bias_row_stride];
    }
  }

  void hide(const Unit& unit, int lane_index, float* logits) const {
    const KeyWindow* windows = tile_.windows + (unit.groups - tile_.groups) * 2;
    for (int key = 0; key < kUnitKeys; ++key) {
      float* row = logits + key * kTile;
      Simd::store(row, Simd::keep_rows(Simd::load(row), lane_index * kTile, windows[key].begin,
                                       windows[key].end));
    }
  }

  static Vec exp2(Vec x) { return Simd::exp2(x, kExp2Degree3); }

  /// Writes the weights of a unit, rows of queries, and adds them to the total; false, and no
  /// total, if the maximum has to be raised first.
  template <bool kBiased>
  bool weigh_lane(const Unit& unit, const Lane& at, const float* logits, Ahead next,
                  std::uint32_t* to) const {
    const Vec to_exponent = Simd::set1(to_exponent_);
    const Vec shift = Simd::load(at.shift);
    Vec largest[2] = {Simd::set1(kMinusInfinity), Simd::set1(kMinusInfinity)};
    Vec total[2] = {Simd::load(at.total), Simd::zero()};
    std::uint32_t* pairs = pairs_;
#pragma GCC unroll 2
    for (int g = 0; g < kTile; ++g) {
      const float* from = logits + 2 * g * kTile;
      Vec x = Simd::load(from);
      Vec y = Simd::load(from + kTile);
      if constexpr (kBiased) {
        x = Simd::add(x, Simd::set1(unit.groups[g].bias[0]));
        y = Simd::add(y, Simd::set1(unit.groups[g].bias[1]));
      }
      x = Simd::fms(x, to_exponent, shift);
      y = Simd::fms(y, to_exponent, shift);
      largest[0] = Simd::max(largest[0], x);
      largest[1] = Simd::max(largest[1], y);
      const Vec first = exp2(x);
      const Vec second = exp2(y);
      total[0] = Simd::add(total[0], first);
      total[1] = Simd::add(total[1], second);
      Simd::store_words(pairs + g * kTile, Bf16Micro::pair(first, second));
      prefetch(next);
    }
    if (Simd::any_greater(Simd::max(largest[0], largest[1]), Simd::load(at.limit))) return false;
    Simd::store(at.total, Simd::add(total[0], total[1]));
    Vec pair[kTile];
    for (int g = 0; g < kTile; ++g) pair[g] = Simd::load_words(pairs + g * kTile);
    Simd::transpose(pair);
    for (int row = 0; row < kTile; ++row) Simd::store_words(to + row * kTile, pair[row]);
    return true;
  }

  void accumulate(int first_lane, int lanes) {
    // Columns outside: the values of a block are read once for all lanes.
    for (int column = 0; column < padded_; column += 2 * kTile) {
      int l = 0;
      for (; l + 2 <= lanes; l += 2)
        accumulate_of<2>(first_lane + l, weights_of(l, 0), unit_count_, column);
      if (l < lanes) accumulate_of<1>(first_lane + l, weights_of(l, 0), unit_count_, column);
    }
    for (int l = first_lane; l < first_lane + lanes; ++l) has_sums_[l] = true;
  }

  /// Raises the running maximum to that of these logits, and what is relative to it.
  [[gnu::noinline]] void raise_top(int unit, int index, const float* logits) {
    const Lane at = lane(index);
    if (unit > 0) {
      std::uint32_t* weights = weights_of(index - group_first_, 0);
      for (int column = 0; column < padded_; column += 2 * kTile)
        accumulate_of<1>(index, weights, unit, column);
      for (int i = 0; i < unit * kTileWords; ++i) weights[i] = 0;
      has_sums_[index] = true;
    }
    const Vec old_top = Simd::load(at.top);
    Vec top = old_top;
    for (int key = 0; key < kUnitKeys; ++key) {
      const float bias = units_[unit].groups[key / 2].bias[key % 2];
      top = Simd::max(top, Simd::add(Simd::load(logits + key * kTile), Simd::set1(bias)));
    }
    const Vec to_exponent = Simd::set1(to_exponent_);
    const Vec shift = Simd::mul(Simd::finite_or(top, Simd::zero()), to_exponent);
    alignas(64) float factor[kTile];
    Simd::store(factor, exp2(Simd::fms(old_top, to_exponent, shift)));
    Simd::store(at.top, top);
    Simd::store(at.shift, shift);
    // No limit for a query that has seen no key.
    Simd::store(at.limit, Simd::limit_where_finite(top, kRescaleThreshold));
    Simd::store(at.total, Simd::mul(Simd::load(at.total), Simd::load(factor)));
    if (!has_sums_[index]) return;
    for (int i = 0; i < kTile * padded_; i += kTile)
      Simd::store(at.out + i,
                  Simd::mul(Simd::load(at.out + i), Simd::set1(factor[i / kTile % kTile])));
  }

  /// One or two lanes by 32 columns.
  template <int kLanes>
  void accumulate_of(int lane_index, const std::uint32_t* weights, int units, int column) const {
    const int row_bytes = padded_ * 4;
    float* out = lane(lane_index).out + column * kTile;
    float* below = kLanes == 2 ? lane(lane_index + 1).out + column * kTile : nullptr;
    if (has_sums_[lane_index]) {
      Tiles::template load<0>(out, kTileBytes);
      Tiles::template load<1>(out + kTileWords, kTileBytes);
    } else {
      Tiles::template zero<0>();
      Tiles::template zero<1>();
    }
    if constexpr (kLanes == 2) {
      if (has_sums_[lane_index + 1]) {
        Tiles::template load<2>(below, kTileBytes);
        Tiles::template load<3>(below + kTileWords, kTileBytes);
      } else {
        Tiles::template zero<2>();
        Tiles::template zero<3>();
      }
    }
    for (int u = 0; u < units; ++u) {
      const std::uint32_t* value = units_[u].values + column;
      const std::uint32_t* weight = weights + u * kTileWords;
      Tiles::template load<4>(weight, kTileBytes);
      Tiles::template load<6>(value, row_bytes);
      Tiles::template dot<0, 4, 6>();
      Tiles::template load<7>(value + kTile, row_bytes);
      Tiles::template dot<1, 4, 7>();
      if constexpr (kLanes == 2) {
        Tiles::template load<5>(weight + kBlockUnits * kTileWords, kTileBytes);
        Tiles::template dot<2, 5, 6>();
        Tiles::template dot<3, 5, 7>();
      }
    }
    Tiles::template store<0>(out, kTileBytes);
    Tiles::template store<1>(out + kTileWords, kTileBytes);
    if constexpr (kLanes == 2) {
      Tiles::template store<2>(below, kTileBytes);
      Tiles::template store<3>(below + kTileWords, kTileBytes);
    }
  }

  void store(int index) const {
    const Lane from = lane(index);
    alignas(64) float factor[kTile];
    Simd::store(factor, Simd::reciprocal_or_zero(Simd::load(from.total)));
    for (int i = 0; i < kTile && index * kTile + i < tile_.out.count; ++i) {
      const Vec f = Simd::set1(factor[i]);
      const auto column = [&](int c) {
        if (!has_sums_[index]) return Simd::zero();
        return Simd::mul(Simd::load(from.out + c * kTile + i * kTile), f);
      };
      const int row = index * kTile + i;
      if (tile_.out.is_bf16 && tile_.head_dim == padded_) {
        auto* to = static_cast<std::uint16_t*>(const_cast<void*>(tile_.out.data)) +
                   row_offset(tile_.out, row);
        for (int c = 0; c < padded_; c += 2 * kTile)
          Bf16Micro::store_rounded(to + c, column(c), column(c + kTile));
      } else {
        for (int c = 0; c < padded_; c += kTile) Simd::store(rows_ + c, column(c));
        write_row(tile_.out, row, tile_.head_dim, rows_);
      }
    }
  }

  const AttentionTile& tile_;
  int padded_;
  int words_;
  int lanes_;
  int groups_;
  std::int64_t lane_words_;
  float to_exponent_;
  int next_group_ = 0;  // the first of the next block
  int unit_count_ = 0;
  int group_first_ = 0;
  Unit units_[kBlockUnits];
  bool has_top_[kMostLanes] = {};
  bool has_sums_[kMostLanes] = {};  // else those in scratch are not written yet
  float* logits_;                   // two items' [lane][32 keys][16 queries]
  std::uint32_t* weights_;          // [lane of a group][unit][16 queries][16 pairs of keys]
  std::uint32_t* pairs_;            // [16 pairs of keys][16 queries]
  float* rows_;                     // [16][padded]
  std::uint32_t* gathered_;
  float* lane_memory_;
};

template <class Tiles>
constexpr AttentionKernel amx_kernel(const char* name) {
  constexpr int kMultiple = AmxRun<Tiles>::kHeadDimMultiple;
  return {name,
          2,
          AmxRun<Tiles>::kUnitGroups,
          AmxRun<Tiles>::kUnitGroups,
          AmxRun<Tiles>::kTileRows,
          2,
          kMultiple,
          AmxRun<Tiles>::scratch_bytes,
          pack_keys<true, kMultiple>,
          pack_values<true, kMultiple>,
          AmxRun<Tiles>::run,
          statistics<Avx512>};
}

}  // namespace
}  // namespace sparsevid::ops::cpu
