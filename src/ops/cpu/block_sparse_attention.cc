// Keys and values are packed once per head, cluster by cluster, each beginning a group, and behind
// them the means of the clusters. The list of a query cluster is then a few runs of groups, and its
// tiles read queries and write outputs at their tokens' places. Clusters that the same queries have
// chosen are packed side by side, so that runs are long: what is left over at their ends has to be
// copied together.
#include "ops/cpu/block_sparse_attention.h"

#include <cmath>
#include <numeric>

#include "base/parallel.h"
#include "ops/cpu/attention_scratch.h"

namespace sparsevid::ops::cpu {
namespace {

/// Clusters packed by one thread at a time; even, so that pairs of means are not split.
constexpr std::int64_t kPackClusters = 16;
/// The largest group_run of a kernel.
constexpr int kMostRun = 16;
/// Rows of the widest lanes of a kernel: pieces of a cluster begin with whole ones.
constexpr std::int64_t kLaneRows = 16;

/// Some queries of one query cluster.
struct Tile {
  std::int32_t head;  // of those at work
  std::int32_t cluster;
  std::int32_t begin;  // place in the cluster-sorted sequence
  std::int32_t count;
  std::int64_t cost;
};

class BlockSparse {
 public:
  BlockSparse(const AttentionKernel& kernel, const BlockSparseAttentionParams& params,
              Context& context)
      : kernel_(kernel),
        params_(params),
        context_(context),
        q_len_(params.q.size(1)),
        k_len_(params.k.size(1)),
        q_clusters_(params.chosen.size(1)),
        k_clusters_(params.chosen.size(2)),
        head_dim_(static_cast<int>(params.q.size(2))),
        has_tail_(params.k_mean.defined()),
        tail_begin_((k_len_ + (kernel.group - 1) * k_clusters_) / kernel.group),
        groups_(tail_begin_ + (has_tail_ ? divide_up(k_clusters_, kernel.group * kernel.group_run) *
                                               kernel.group_run
                                         : 0)),
        chooser_words_(divide_up(q_clusters_, 64)) {}

  void run() {
    const std::int64_t heads = params_.q.size(0);
    const Arena::Scope scope(context_.arena);
    const std::int64_t tiles_per_head = q_clusters_ + q_len_ / kernel_.tile_rows;
    const std::int64_t at_once = heads_at_once(heads, tiles_per_head, context_.threads);
    Arena& arena = context_.arena;
    cluster_at_ = arena.array<std::int32_t>(at_once * k_clusters_);
    choosers_ = arena.array<std::uint64_t>(at_once * k_clusters_ * chooser_words_);
    begin_ = arena.array<std::int32_t>(at_once * (k_clusters_ + 1));
    key_groups_ = arena.array<KeyGroup>(at_once * tail_begin_);
    tail_bias_ = arena.array<float>(at_once * k_clusters_);
    tiles_ = arena.array<Tile>(at_once * tiles_per_head);
    list_stride_ = groups_ + kernel_.group_multiple;
    pair_means_ = arena.array<float>(std::int64_t{2} * head_dim_ * context_.threads);
    lists_ = arena.array<KeyGroup>(list_stride_ * context_.threads);
    const TileScratch scratch(kernel_, head_dim_, context_.threads, arena);
    const PackedHeads packed(kernel_, head_dim_, at_once, groups_, arena);
    for (first_head_ = 0; first_head_ < heads; first_head_ += at_once) {
      context_.check_cancelled();
      const std::int64_t now = std::min(at_once, heads - first_head_);
      place_clusters(now);
      pack(now, packed);
      const std::int64_t tiles = collect_tiles(now);
      parallel_for(context_.threads, tiles, 1, [&](std::int64_t item, std::int64_t) {
        run_tile(tiles_[item], packed, scratch.of_thread(thread_index()));
      });
    }
  }

 private:
  const std::int32_t* k_offsets(std::int64_t head) const {
    return params_.k_offsets[first_head_ + head].as<std::int32_t>();
  }
  const std::int32_t* q_offsets(std::int64_t head) const {
    return params_.q_offsets[first_head_ + head].as<std::int32_t>();
  }
  const std::uint8_t* chosen(std::int64_t head, std::int64_t cluster) const {
    return params_.chosen[first_head_ + head][cluster].as<std::uint8_t>();
  }

  /// Where the clusters go, and the groups of all their keys, of which lists are parts.
  void place_clusters(std::int64_t heads) {
    parallel_for(context_.threads, heads, 1, [&](std::int64_t head, std::int64_t) {
      order_clusters(head);
      const std::int32_t* at = cluster_at_ + head * k_clusters_;
      const std::int32_t* offsets = k_offsets(head);
      std::int32_t* begin = begin_ + head * (k_clusters_ + 1);
      begin[0] = 0;
      KeyList list{key_groups_ + head * tail_begin_};
      for (std::int64_t place = 0; place < k_clusters_; ++place) {
        const std::int32_t size = offsets[at[place] + 1] - offsets[at[place]];
        list.add_keys(begin[place], size, kernel_.group);
        begin[place + 1] = static_cast<std::int32_t>(list.count);
        tail_bias_[head * k_clusters_ + place] =
            size == 0 ? kMasked : static_cast<float>(std::log(size) / params_.scale);
      }
    });
  }

  /// A chain of clusters, each followed by the one left whose choices differ least from its own.
  [[gnu::target("popcnt")]] void order_clusters(std::int64_t head) const {
    std::int32_t* at = cluster_at_ + head * k_clusters_;
    std::uint64_t* choosers = choosers_ + head * k_clusters_ * chooser_words_;
    std::fill_n(choosers, k_clusters_ * chooser_words_, std::uint64_t{0});
    for (std::int64_t q = 0; q < q_clusters_; ++q) {
      const std::uint8_t* choice = chosen(head, q);
      for (std::int64_t c = 0; c < k_clusters_; ++c)
        choosers[c * chooser_words_ + q / 64] |= std::uint64_t{choice[c] != 0} << q % 64;
    }
    std::iota(at, at + k_clusters_, 0);
    for (std::int64_t place = 0; place + 2 < k_clusters_; ++place) {
      const std::uint64_t* own = choosers + at[place] * chooser_words_;
      std::int64_t nearest = place + 1;
      std::int64_t least = q_clusters_ + 1;
      for (std::int64_t other = place + 1; other < k_clusters_; ++other) {
        const std::uint64_t* others = choosers + at[other] * chooser_words_;
        std::int64_t differences = 0;
        for (std::int64_t w = 0; w < chooser_words_; ++w)
          differences += __builtin_popcountll(own[w] ^ others[w]);
        if (differences >= least) continue;
        least = differences;
        nearest = other;
      }
      std::swap(at[place + 1], at[nearest]);
    }
  }

  void pack(std::int64_t heads, const PackedHeads& packed) {
    const std::int64_t pieces = divide_up(k_clusters_, kPackClusters);
    parallel_for(context_.threads, heads * pieces, 1, [&](std::int64_t item, std::int64_t) {
      const std::int64_t head = item / pieces;
      const std::int64_t from = first_head_ + head;
      const std::int64_t begin = item % pieces * kPackClusters;
      const std::int64_t end = std::min(begin + kPackClusters, k_clusters_);
      const std::int32_t* offsets = k_offsets(head);
      const auto* order = params_.k_order[from].as<std::int32_t>();
      const std::int32_t* at = cluster_at_ + head * k_clusters_;
      for (std::int64_t place = begin; place < end; ++place) {
        const std::int32_t c = at[place];
        const std::int64_t size = offsets[c + 1] - offsets[c];
        packed.pack(attention_rows(params_.k[from], order, offsets[c], size, k_len_),
                    attention_rows(params_.v[from], order, offsets[c], size, k_len_), head,
                    begin_[head * (k_clusters_ + 1) + place]);
        if (params_.takes_means) take_means(packed, head, place, size);
      }
      if (has_tail_)
        packed.pack(attention_rows(params_.k_mean[from], at, begin, end - begin),
                    attention_rows(params_.v_mean[from], at, begin, end - begin), head,
                    tail_begin_ + begin / kernel_.group);
      // A run of means is read to its end.
      if (has_tail_ && end == k_clusters_)
        packed.clear(head, tail_begin_ + divide_up(k_clusters_, kernel_.group), groups_);
    });
  }

  /// While the packed rows are in cache.
  void take_means(const PackedHeads& packed, std::int64_t head, std::int64_t place,
                  std::int64_t size) const {
    const std::int32_t cluster = cluster_at_[head * k_clusters_ + place];
    auto* k_mean = params_.k_mean[first_head_ + head][cluster].as<float>();
    auto* v_mean = params_.v_mean[first_head_ + head][cluster].as<float>();
    if (size == 0) {
      std::fill_n(k_mean, head_dim_, 0.F);
      std::fill_n(v_mean, head_dim_, 0.F);
      return;
    }
    const std::int64_t first = begin_[head * (k_clusters_ + 1) + place];
    const auto mean = [&](const std::byte* rows, std::int64_t count, int group, float* to) {
      kernel_.statistics(rows, kernel_.element_bytes == 2,
                         std::int64_t{group} * kernel_.padded_head_dim(head_dim_), nullptr,
                         static_cast<int>(count), 0, group * head_dim_, to, nullptr);
    };
    mean(packed.keys(head, first), size, 1, k_mean);
    if (kernel_.group == 1) return mean(packed.values(head, first), size, 1, v_mean);
    // Values lie in pairs, the last one beside nothing if it has no partner.
    const std::int64_t pairs = divide_up(size, 2);
    float* of_pairs = pair_means_ + std::int64_t{2} * head_dim_ * thread_index();
    mean(packed.values(head, first), pairs, 2, of_pairs);
    const float factor = static_cast<float>(pairs) / static_cast<float>(size);
    for (int d = 0; d < head_dim_; ++d)
      v_mean[d] = (of_pairs[2 * d] + of_pairs[2 * d + 1]) * factor;
  }

  /// The tiles of the heads at work, the most expensive first.
  std::int64_t collect_tiles(std::int64_t heads) {
    std::int64_t count = 0;
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t c = 0; c < q_clusters_; ++c) {
        const std::int32_t begin = q_offsets(head)[c];
        const std::int32_t rows = q_offsets(head)[c + 1] - begin;
        if (rows == 0) continue;
        const std::int64_t keys = keys_chosen(head, c);
        const auto pieces = static_cast<std::int32_t>(divide_up(rows, kernel_.tile_rows));
        for (std::int32_t piece = 0; piece < pieces; ++piece) {
          const std::int32_t first = piece_begin(rows, piece, pieces);
          const std::int32_t last = piece_begin(rows, piece + 1, pieces);
          tiles_[count++] = {static_cast<std::int32_t>(head), static_cast<std::int32_t>(c),
                             begin + first, last - first, keys * (last - first)};
        }
      }
    }
    std::sort(tiles_, tiles_ + count, [](const Tile& a, const Tile& b) { return a.cost > b.cost; });
    return count;
  }

  static std::int32_t piece_begin(std::int32_t rows, std::int64_t piece, std::int64_t pieces) {
    const std::int64_t lanes = divide_up(rows, kLaneRows);
    return std::min(rows, static_cast<std::int32_t>(lanes * piece / pieces * kLaneRows));
  }

  std::int64_t keys_chosen(std::int64_t head, std::int64_t cluster) const {
    const std::uint8_t* choice = chosen(head, cluster);
    const std::int32_t* offsets = k_offsets(head);
    std::int64_t keys = has_tail_ ? k_clusters_ : 0;
    for (std::int64_t c = 0; c < k_clusters_; ++c)
      keys += (choice[c] != 0 ? 1 : 0) * (offsets[c + 1] - offsets[c]);
    return keys;
  }

  /// The chosen keys: runs that the kernel reads in place, and runs put together of what is left of
  /// others.
  KeyList list_of(const Tile& tile) const {
    KeyList list{lists_ + list_stride_ * thread_index()};
    KeyGroup rest[2 * kMostRun];
    int rest_count = 0;
    const std::uint8_t* choice = chosen(tile.head, tile.cluster);
    const std::int32_t* at = cluster_at_ + tile.head * k_clusters_;
    const std::int32_t* begin = begin_ + tile.head * (k_clusters_ + 1);
    const KeyGroup* groups = key_groups_ + tile.head * tail_begin_;
    for (std::int64_t place = 0; place < k_clusters_; ++place) {
      if (choice[at[place]] == 0) continue;
      const std::int64_t first = place;
      while (place < k_clusters_ && choice[at[place]] != 0) ++place;
      const int left = (begin[place] - begin[first]) % kernel_.group_run;
      const std::int32_t end = begin[place] - left;
      list.add(groups + begin[first], end - begin[first]);
      std::copy_n(groups + end, left, rest + rest_count);
      rest_count += left;
      if (rest_count < kernel_.group_run) continue;
      rest_count -= kernel_.group_run;
      list.add(rest + rest_count, kernel_.group_run);
    }
    if (has_tail_) add_tail(tile, list);
    list.add(rest, rest_count);
    list.pad(kernel_);
    return list;
  }

  /// The means of clusters that are not chosen, whole runs of them.
  void add_tail(const Tile& tile, KeyList& list) const {
    const std::uint8_t* choice = chosen(tile.head, tile.cluster);
    const float* bias = tail_bias_ + tile.head * k_clusters_;
    const std::int32_t* at = cluster_at_ + tile.head * k_clusters_;
    const auto bias_of = [&](std::int64_t place) {
      return place < k_clusters_ && choice[at[place]] == 0 ? bias[place] : kMasked;
    };
    const std::int64_t run = std::int64_t{kernel_.group} * kernel_.group_run;
    for (std::int64_t first = 0; first < k_clusters_; first += run) {
      const std::int64_t before = list.count;
      bool any = false;
      for (std::int64_t place = first; place < first + run; place += kernel_.group) {
        const KeyGroup means = {static_cast<std::int32_t>(tail_begin_ + place / kernel_.group),
                                {bias_of(place), kernel_.group > 1 ? bias_of(place + 1) : kMasked}};
        any |= means.bias[0] != kMasked || means.bias[1] != kMasked;
        list.groups[list.count++] = means;
      }
      if (!any) list.count = before;
    }
  }

  void run_tile(const Tile& work, const PackedHeads& packed, void* scratch) const {
    const std::int64_t head = first_head_ + work.head;
    const auto* order = params_.q_order[head].as<std::int32_t>();
    const KeyList list = list_of(work);
    AttentionTile tile;
    tile.q = attention_rows(params_.q[head], order, work.begin, work.count, q_len_);
    tile.out = attention_rows(params_.out[head], order, work.begin, work.count);
    tile.head_dim = head_dim_;
    tile.keys = packed.keys(work.head);
    tile.values = packed.values(work.head);
    tile.groups = list.groups;
    tile.group_count = static_cast<int>(list.count);
    tile.scale = static_cast<float>(params_.scale);
    tile.scratch = scratch;
    kernel_.run(tile);
  }

  const AttentionKernel& kernel_;
  const BlockSparseAttentionParams& params_;
  Context& context_;
  std::int64_t q_len_;
  std::int64_t k_len_;
  std::int64_t q_clusters_;
  std::int64_t k_clusters_;
  int head_dim_;
  bool has_tail_;
  std::int64_t tail_begin_;  // group of the first mean, behind the most groups the keys can take
  std::int64_t groups_;
  std::int64_t chooser_words_;
  std::int64_t first_head_ = 0;
  // Of the heads at work, by the place a cluster has among the packed ones:
  std::int32_t* cluster_at_ = nullptr;  // [k_clusters]
  std::int32_t* begin_ = nullptr;       // [k_clusters + 1] groups
  KeyGroup* key_groups_ = nullptr;      // [tail_begin]: all keys
  float* tail_bias_ = nullptr;          // [k_clusters]
  // By cluster:
  std::uint64_t* choosers_ = nullptr;  // [k_clusters, chooser_words]: a bit for each query cluster
  Tile* tiles_ = nullptr;
  float* pair_means_ = nullptr;  // [2 head_dim] for each thread
  KeyGroup* lists_ = nullptr;    // one for each thread
  std::int64_t list_stride_ = 0;
};

}  // namespace

void block_sparse_attention(const AttentionKernel& kernel, const BlockSparseAttentionParams& params,
                            Context& context) {
  BlockSparse(kernel, params, context).run();
}

}  // namespace sparsevid::ops::cpu
