// Keys and values are packed once per head in the order of their clusters, each cluster beginning a
// group, and behind them the means of the clusters. The list of a query cluster is then a few runs
// of groups, and its tiles read queries and write outputs at their tokens' places.
#include "ops/cpu/block_sparse_attention.h"

#include <cmath>

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
                                         : 0)) {}

  void run() {
    const std::int64_t heads = params_.q.size(0);
    const Arena::Scope scope(context_.arena);
    const std::int64_t tiles_per_head = q_clusters_ + q_len_ / kernel_.tile_rows;
    const std::int64_t at_once = heads_at_once(heads, tiles_per_head, context_.threads);
    Arena& arena = context_.arena;
    begin_of_cluster_ = arena.array<std::int32_t>(at_once * (k_clusters_ + 1));
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
      const std::int32_t* offsets = k_offsets(head);
      std::int32_t* begin = begin_of_cluster_ + head * (k_clusters_ + 1);
      begin[0] = 0;
      KeyList list{key_groups_ + head * tail_begin_};
      for (std::int64_t c = 0; c < k_clusters_; ++c) {
        const std::int32_t size = offsets[c + 1] - offsets[c];
        list.add_keys(begin[c], size, kernel_.group);
        begin[c + 1] = static_cast<std::int32_t>(list.count);
        tail_bias_[head * k_clusters_ + c] =
            size == 0 ? kMasked : static_cast<float>(std::log(size) / params_.scale);
      }
    });
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
      for (std::int64_t c = begin; c < end; ++c) {
        const std::int64_t size = offsets[c + 1] - offsets[c];
        packed.pack(attention_rows(params_.k[from], order, offsets[c], size, k_len_),
                    attention_rows(params_.v[from], order, offsets[c], size, k_len_), head,
                    begin_of_cluster_[head * (k_clusters_ + 1) + c]);
        if (params_.takes_means) take_means(packed, head, c, size);
      }
      if (has_tail_)
        packed.pack(attention_rows(params_.k_mean[from], nullptr, begin, end - begin),
                    attention_rows(params_.v_mean[from], nullptr, begin, end - begin), head,
                    tail_begin_ + begin / kernel_.group);
      // A run of means is read to its end.
      if (has_tail_ && end == k_clusters_)
        packed.clear(head, tail_begin_ + divide_up(k_clusters_, kernel_.group), groups_);
    });
  }

  /// While the packed rows are in cache.
  void take_means(const PackedHeads& packed, std::int64_t head, std::int64_t cluster,
                  std::int64_t size) const {
    auto* k_mean = params_.k_mean[first_head_ + head][cluster].as<float>();
    auto* v_mean = params_.v_mean[first_head_ + head][cluster].as<float>();
    if (size == 0) {
      std::fill_n(k_mean, head_dim_, 0.F);
      std::fill_n(v_mean, head_dim_, 0.F);
      return;
    }
    const std::int64_t first = begin_of_cluster_[head * (k_clusters_ + 1) + cluster];
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
    const std::int32_t* begin = begin_of_cluster_ + tile.head * (k_clusters_ + 1);
    const KeyGroup* groups = key_groups_ + tile.head * tail_begin_;
    for (std::int64_t c = 0; c < k_clusters_; ++c) {
      if (choice[c] == 0) continue;
      const std::int64_t first = c;
      while (c < k_clusters_ && choice[c] != 0) ++c;
      const int left = (begin[c] - begin[first]) % kernel_.group_run;
      const std::int32_t end = begin[c] - left;
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
    const auto bias_of = [&](std::int64_t c) {
      return c < k_clusters_ && choice[c] == 0 ? bias[c] : kMasked;
    };
    const std::int64_t run = std::int64_t{kernel_.group} * kernel_.group_run;
    for (std::int64_t first = 0; first < k_clusters_; first += run) {
      const std::int64_t before = list.count;
      bool any = false;
      for (std::int64_t c = first; c < first + run; c += kernel_.group) {
        const KeyGroup means = {static_cast<std::int32_t>(tail_begin_ + c / kernel_.group),
                                {bias_of(c), kernel_.group > 1 ? bias_of(c + 1) : kMasked}};
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
  std::int64_t first_head_ = 0;
  // Of the heads at work:
  std::int32_t* begin_of_cluster_ = nullptr;  // [k_clusters + 1] groups
  KeyGroup* key_groups_ = nullptr;            // [tail_begin]: all keys
  float* tail_bias_ = nullptr;                // [k_clusters]
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
