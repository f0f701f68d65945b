// Keys are packed per head: first those that every query sees (the tokens outside the video and the
// first frame), then the rest of the video in the head's order. A tile of queries, neighbours in
// that order, lists the former and a range of the latter, with a window of rows for each key.
#include "ops/cpu/band_attention.h"

#include "base/parallel.h"
#include "ops/cpu/attention_scratch.h"

namespace sparsevid::ops::cpu {
namespace {

constexpr std::int64_t kPackRows = 256;

class Band {
 public:
  Band(const AttentionKernel& kernel, const BandAttentionParams& params, Context& context)
      : kernel_(kernel),
        params_(params),
        context_(context),
        frames_(params.frames),
        positions_(params.positions),
        video_(frames_ * positions_),
        outside_(params.q.size(1) - video_),
        always_(outside_ + positions_),
        banded_(video_ - positions_),
        band_group_(divide_up(always_, kernel.group)),
        head_dim_(static_cast<int>(params.q.size(2))) {}

  void run() {
    const std::int64_t heads = params_.q.size(0);
    const Arena::Scope scope(context_.arena);
    Arena& arena = context_.arena;
    rows_ = rows_per_tile(kernel_, video_, heads, context_.threads);
    video_tiles_ = divide_up(video_, rows_);
    const std::int64_t tiles = video_tiles_ + divide_up(outside_, rows_);
    const std::int64_t at_once = heads_at_once(heads, tiles, context_.threads);
    write_orders(arena);
    list_stride_ = band_group_ + divide_up(banded_, kernel_.group) + kernel_.group_multiple;
    lists_ = arena.array<KeyGroup>(list_stride_ * context_.threads);
    windows_ = arena.array<KeyWindow>(list_stride_ * kernel_.group * context_.threads);
    const TileScratch scratch(kernel_, head_dim_, context_.threads, arena);
    const PackedHeads packed(kernel_, head_dim_, at_once,
                             band_group_ + divide_up(banded_, kernel_.group), arena);
    for (std::int64_t first = 0; first < heads; first += at_once) {
      context_.check_cancelled();
      const std::int64_t now = std::min(at_once, heads - first);
      pack(first, now, packed);
      parallel_for(context_.threads, now * tiles, 1, [&](std::int64_t item, std::int64_t) {
        const std::int64_t head = item / tiles;
        run_tile(first + head, item % tiles, packed.keys(head), packed.values(head),
                 scratch.of_thread(thread_index()));
      });
    }
  }

 private:
  bool temporal(std::int64_t head) const {
    return params_.temporal[head].as<std::uint8_t>()[0] != 0;
  }
  std::int32_t token_at(std::int64_t place, bool temporal) const {
    const std::int64_t token = temporal ? place % frames_ * positions_ + place / frames_ : place;
    return static_cast<std::int32_t>(params_.video_begin + token);
  }
  /// Place in the head's order of key `i` of those with a band.
  std::int64_t place_of(std::int64_t i, bool temporal) const {
    return temporal ? i / (frames_ - 1) * frames_ + 1 + i % (frames_ - 1) : positions_ + i;
  }
  /// How many keys with a band stand before `place`.
  std::int64_t keys_before(std::int64_t place, bool temporal) const {
    if (!temporal) return std::clamp<std::int64_t>(place - positions_, 0, banded_);
    place = std::clamp<std::int64_t>(place, 0, video_);
    return place / frames_ * (frames_ - 1) + std::max<std::int64_t>(place % frames_ - 1, 0);
  }

  /// Tokens in both orders: those outside the video, the video, and the keys with a band.
  void write_orders(Arena& arena) {
    always_order_ = arena.array<std::int32_t>(always_);
    std::int32_t* to = always_order_;
    const std::int64_t end = params_.video_begin + video_;
    for (std::int64_t token = 0; token < video_ + outside_; ++token)
      if (token < params_.video_begin || token >= end) *to++ = static_cast<std::int32_t>(token);
    for (std::int64_t place = 0; place < positions_; ++place) *to++ = token_at(place, false);
    for (const bool kind : {false, true}) {
      q_order_[kind] = arena.array<std::int32_t>(video_);
      k_order_[kind] = arena.array<std::int32_t>(banded_);
      for (std::int64_t place = 0; place < video_; ++place)
        q_order_[kind][place] = token_at(place, kind);
      for (std::int64_t i = 0; i < banded_; ++i)
        k_order_[kind][i] = token_at(place_of(i, kind), kind);
    }
  }

  void pack(std::int64_t first, std::int64_t heads, const PackedHeads& packed) {
    const std::int64_t always_pieces = divide_up(always_, kPackRows);
    const std::int64_t pieces = always_pieces + divide_up(banded_, kPackRows);
    parallel_for(context_.threads, heads * pieces, 1, [&](std::int64_t item, std::int64_t) {
      const std::int64_t head = first + item / pieces;
      std::int64_t piece = item % pieces;
      const bool band = piece >= always_pieces;
      if (band) piece -= always_pieces;
      const std::int32_t* order = band ? k_order_[temporal(head)] : always_order_;
      const std::int64_t begin = piece * kPackRows;
      const std::int64_t count = std::min(kPackRows, (band ? banded_ : always_) - begin);
      packed.pack(attention_rows(params_.k[head], order, begin, count),
                  attention_rows(params_.v[head], order, begin, count), item / pieces,
                  (band ? band_group_ : 0) + begin / kernel_.group);
    });
  }

  void run_tile(std::int64_t head, std::int64_t index, const void* keys, const void* values,
                void* scratch) const {
    const bool video = index < video_tiles_;
    const std::int64_t begin = (video ? index : index - video_tiles_) * rows_;
    const std::int64_t count = std::min(rows_, (video ? video_ : outside_) - begin);
    const std::int32_t* order = video ? q_order_[temporal(head)] : always_order_;
    KeyList list{lists_ + list_stride_ * thread_index()};
    KeyWindow* windows = windows_ + list_stride_ * kernel_.group * thread_index();
    list.add_keys(0, always_, kernel_.group);
    if (video) {
      add_band(begin, count, temporal(head), list, windows);
    } else {
      list.add_keys(band_group_, banded_, kernel_.group);
    }
    list.pad(kernel_);
    AttentionTile tile;
    tile.q = attention_rows(params_.q[head], order, begin, count);
    tile.out = attention_rows(params_.out[head], order, begin, count);
    tile.head_dim = head_dim_;
    tile.keys = keys;
    tile.values = values;
    tile.groups = list.groups;
    tile.group_count = static_cast<int>(list.count);
    tile.windows = video ? windows : nullptr;
    tile.scale = static_cast<float>(params_.scale);
    tile.scratch = scratch;
    kernel_.run(tile);
  }

  /// The keys that any of `rows` queries from place `begin` on sees, and which of the queries do.
  void add_band(std::int64_t begin, std::int64_t rows, bool temporal, KeyList& list,
                KeyWindow* windows) const {
    const std::int64_t group = kernel_.group;
    const auto all = KeyWindow{0, static_cast<std::int32_t>(rows)};
    std::fill(windows, windows + list.count * group, all);
    const std::int64_t width = std::clamp<std::int64_t>(params_.width, -1, video_);
    const std::int64_t first = keys_before(begin - width, temporal) / group * group;
    const std::int64_t end = keys_before(begin + rows + width, temporal);
    const std::int64_t before = list.count;
    if (first < end) list.add_keys(band_group_ + first / group, end - first, kernel_.group);
    list.pad(kernel_);
    for (std::int64_t i = 0; i < (list.count - before) * group; ++i) {
      const std::int64_t place = first + i < end ? place_of(first + i, temporal) - begin : 0;
      windows[before * group + i] =
          first + i < end ? KeyWindow{static_cast<std::int32_t>(
                                          std::clamp<std::int64_t>(place - width, 0, rows)),
                                      static_cast<std::int32_t>(
                                          std::clamp<std::int64_t>(place + width + 1, 0, rows))}
                          : all;
    }
  }

  const AttentionKernel& kernel_;
  const BandAttentionParams& params_;
  Context& context_;
  std::int64_t frames_;
  std::int64_t positions_;
  std::int64_t video_;    // tokens of the video
  std::int64_t outside_;  // tokens outside it
  std::int64_t always_;   // keys that every query sees
  std::int64_t banded_;   // the others
  std::int64_t band_group_;
  int head_dim_;
  std::int64_t rows_ = 0;
  std::int64_t video_tiles_ = 0;
  std::int32_t* always_order_ = nullptr;
  std::int32_t* q_order_[2] = {};  // by kind of head: [video] token at each place
  std::int32_t* k_order_[2] = {};  // [banded]
  KeyGroup* lists_ = nullptr;      // one for each thread
  KeyWindow* windows_ = nullptr;   // one for each thread
  std::int64_t list_stride_ = 0;   // groups
};

}  // namespace

void band_attention(const AttentionKernel& kernel, const BandAttentionParams& params,
                    Context& context) {
  Band(kernel, params, context).run();
}

}  // namespace sparsevid::ops::cpu
