// The auction of ops/round_clusters.h, one head a thread. A round looks only at the tokens of
// clusters that have too many, which are listed; what these may pay, their costs, is found when the
// cluster they began in has too many for the first time, by a product with the differences between
// its neighbours' centroids and its own.
#include "ops/cpu/round_clusters.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "base/parallel.h"
#include "ops/cpu/cluster_panels.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {
namespace {

/// `way`: to which neighbour of its first cluster, kBack to that cluster itself.
struct Leaving {
  float loss;
  std::int32_t place;
  std::int32_t way;
  bool operator<(const Leaving& other) const {
    return loss < other.loss || (loss == other.loss && place < other.place);
  }
};
constexpr std::int32_t kBack = -1;
constexpr std::int32_t kNone = -1;

/// Tokens ahead whose rows are asked for.
constexpr int kPrefetched = 16;
static_assert(kRoundNeighbours <= kPanel);

/// Memory of one thread.
struct Scratch {
  Scratch(std::int64_t clusters, std::int64_t count, std::int64_t dim, std::int64_t words,
          Arena& arena)
      : sizes(arena.array<std::int32_t>(clusters)),
        wanted(arena.array<std::int32_t>(clusters)),
        order(arena.array<std::int32_t>(clusters)),
        begin(arena.array<std::int32_t>(clusters)),
        end(arena.array<std::int32_t>(clusters)),
        price(arena.array<float>(clusters)),
        distances(arena.array<float>(clusters)),
        neighbours(arena.array<std::int32_t>(clusters * kRoundNeighbours)),
        neighbour_prices(arena.array<float>(clusters * kRoundNeighbours)),
        has_costs(arena.array<std::uint8_t>(clusters)),
        difference(arena.array<float>(dim)),
        row(arena.array<std::uint32_t>(words)),
        panel(arena.array<std::uint32_t>(words * kPanel)),
        first(arena.array<std::int32_t>(count)),
        way(arena.array<std::int32_t>(count)),
        member(arena.array<std::int32_t>(clusters)),
        next(arena.array<std::int32_t>(count)),
        costs(arena.array<float>(count * kRoundNeighbours)),
        leaving(arena.array<Leaving>(count)) {}
  std::int32_t* sizes;  // now
  std::int32_t* wanted;
  std::int32_t* order;  // some clusters
  std::int32_t* begin;  // of each cluster in `leaving`
  std::int32_t* end;    // of those who do leave
  float* price;
  float* distances;          // from one cluster to all
  std::int32_t* neighbours;  // [clusters, kRoundNeighbours]
  float* neighbour_prices;   // [clusters, kRoundNeighbours]
  std::uint8_t* has_costs;   // [clusters]: those of the tokens that began there
  float* difference;         // [head_dim]
  std::uint32_t* row;        // the same as the kernel has it
  std::uint32_t* panel;      // [words, kPanel]: all of a cluster
  std::int32_t* first;       // cluster of each place in the order, before
  std::int32_t* way;         // where it has gone, as in Leaving
  std::int32_t* member;      // a place in each cluster, kNone: there is none
  std::int32_t* next;        // the next place in the same cluster
  float* costs;              // [count, kRoundNeighbours]
  Leaving* leaving;
};

class Auction {
 public:
  Auction(const ClusterKernel& kernel, const RoundClustersParams& params, std::int64_t head,
          const Scratch& scratch, std::uint32_t* block, float* products)
      : kernel_(kernel),
        s_(scratch),
        block_(block),
        products_(products),
        rows_(params.x[head]),
        clusters_(static_cast<int>(params.centroids.size(1))),
        dim_(params.centroids.size(2)),
        words_(kernel.words(static_cast<int>(dim_))),
        multiple_(params.multiple),
        centroids_(params.centroids[head].as<float>()),
        order_(params.order[head].as<std::int32_t>()),
        offsets_(params.offsets[head].as<std::int32_t>()) {}

  void run(std::int32_t* labels) {
    set_sizes();
    if (!set_neighbours()) return;
    std::fill_n(s_.price, clusters_, 0.F);
    std::fill_n(s_.has_costs, clusters_, std::uint8_t{0});
    std::fill_n(s_.member, clusters_, kNone);
    for (int c = 0; c < clusters_; ++c)
      for (int p = offsets_[c]; p < offsets_[c + 1]; ++p) {
        s_.first[p] = c;
        s_.way[p] = kBack;
        put(p, c);
      }
    for (int round = 0; round < kRoundRounds; ++round)
      if (!send_away()) break;
    for (int c = 0; c < clusters_; ++c)
      for (int p = s_.member[c]; p != kNone; p = s_.next[p]) labels[order_[p]] = c;
  }

 private:
  int size(int c) const { return offsets_[c + 1] - offsets_[c]; }
  const float* centroid(int c) const { return centroids_ + c * dim_; }
  const std::int32_t* neighbours(int c) const { return s_.neighbours + c * kRoundNeighbours; }
  void put(int place, int c) {
    s_.next[place] = s_.member[c];
    s_.member[c] = place;
  }

  void set_sizes() {
    const auto remainder = [&](int c) { return size(c) % multiple_; };
    std::int64_t remainders = 0;
    for (int c = 0; c < clusters_; ++c) {
      s_.sizes[c] = size(c);
      s_.wanted[c] = size(c) - remainder(c);
      remainders += remainder(c);
    }
    std::iota(s_.order, s_.order + clusters_, 0);
    std::sort(s_.order, s_.order + clusters_, [&](int a, int b) {
      return remainder(a) != remainder(b) ? remainder(a) > remainder(b) : a < b;
    });
    const auto up = static_cast<int>(remainders / multiple_);
    for (int i = 0; i < up; ++i) s_.wanted[s_.order[i]] += multiple_;
    s_.wanted[s_.order[up]] += static_cast<std::int32_t>(remainders % multiple_);
  }

  /// False: there are no two clusters with members.
  bool set_neighbours() {
    const auto used = static_cast<int>(
        std::remove_if(s_.order, s_.order + clusters_, [&](int c) { return size(c) == 0; }) -
        s_.order);
    if (used < 2) return false;
    neighbour_count_ = std::min(used - 1, kRoundNeighbours);
    std::sort(s_.order, s_.order + used);
    double sum = 0;
    for (int c = 0; c < clusters_; ++c) {
      if (size(c) == 0) continue;
      row_kernels().squared_distances(centroid(c), centroids_, clusters_, dim_, s_.distances);
      s_.distances[c] = std::numeric_limits<float>::infinity();
      std::int32_t* nearest = s_.neighbours + c * kRoundNeighbours;
      std::partial_sort_copy(
          s_.order, s_.order + used, nearest, nearest + neighbour_count_, [&](int a, int b) {
            return s_.distances[a] != s_.distances[b] ? s_.distances[a] < s_.distances[b] : a < b;
          });
      sum += s_.distances[nearest[0]];
    }
    step_ = kRoundStep * static_cast<float>(sum / used);
    return true;
  }

  /// |x - n|^2 - |x - c|^2 = 2 (|d|^2 / 2 + c . d - x . d) for d = n - c.
  void set_costs(int c) {
    s_.has_costs[c] = 1;
    float bias[kRoundNeighbours];
    std::fill_n(s_.panel, std::int64_t{words_} * kPanel, 0U);
    for (int n = 0; n < neighbour_count_; ++n) bias[n] = pack_difference(c, n);
    for (int begin = offsets_[c]; begin < offsets_[c + 1]; begin += kClusterBlock) {
      const int count = std::min(kClusterBlock, offsets_[c + 1] - begin);
      for (int r = 0; r < count; ++r) {
        rows_.prefetch(order_[std::min(begin + r + kPrefetched, offsets_[c + 1] - 1)], dim_);
        kernel_.pack_row(rows_.row(order_[begin + r]), rows_.is_bf16, static_cast<int>(dim_),
                         words_, block_ + std::int64_t{r} * words_);
      }
      kernel_.product({block_, words_, 1}, count, s_.panel, 1, words_, products_);
      for (int r = 0; r < count; ++r)
        for (int n = 0; n < neighbour_count_; ++n)
          s_.costs[std::int64_t{begin + r} * kRoundNeighbours + n] =
              2 * (bias[n] - products_[r * kPanel + n]);
    }
  }

  /// Column n of the panel; returns |d|^2 / 2 + c . d for the difference as the kernel has it.
  float pack_difference(int c, int n) {
    const float* from = centroid(c);
    const float* to = centroid(neighbours(c)[n]);
    for (std::int64_t d = 0; d < dim_; ++d) s_.difference[d] = to[d] - from[d];
    kernel_.pack_row(s_.difference, false, static_cast<int>(dim_), words_, s_.row);
    double sum = 0;
    for (std::int64_t d = 0; d < dim_; ++d) {
      const double value = element_of(s_.row, d, kernel_.is_bf16);
      sum += value * (value / 2 + from[d]);
    }
    for (int w = 0; w < words_; ++w) s_.panel[w * kPanel + n] = s_.row[w];
    return static_cast<float>(sum);
  }

  /// One round; false: no cluster has too many.
  bool send_away() {
    int full = 0;  // clusters with too many
    for (int c = 0; c < clusters_; ++c)
      if (s_.sizes[c] > s_.wanted[c]) s_.order[full++] = c;
    if (full == 0) return false;
    for (int c = 0; c < clusters_; ++c)
      for (int n = 0; n < neighbour_count_ && size(c) > 0; ++n)
        s_.neighbour_prices[c * kRoundNeighbours + n] = s_.price[neighbours(c)[n]];
    // All ask before the first one goes.
    std::int32_t tokens = 0;
    for (int i = 0; i < full; ++i) {
      const int c = s_.order[i];
      if (s_.has_costs[c] == 0) set_costs(c);
      s_.begin[c] = tokens;
      for (int p = s_.member[c]; p != kNone; p = s_.next[p])
        s_.leaving[tokens++] = cheapest_way_out(p);
    }
    for (int i = 0; i < full; ++i) keep_wanted(s_.order[i]);
    for (int i = 0; i < full; ++i) {
      const int c = s_.order[i];
      for (const Leaving* l = s_.leaving + s_.begin[c]; l < s_.leaving + s_.end[c]; ++l) {
        const int first = s_.first[l->place];
        const int to = l->way == kBack ? first : neighbours(first)[l->way];
        s_.way[l->place] = l->way;
        put(l->place, to);
        --s_.sizes[c];
        ++s_.sizes[to];
      }
    }
    return true;
  }

  /// Divides those who would leave into those who do and those who are put back, and raises the
  /// price.
  void keep_wanted(int c) {
    Leaving* begin = s_.leaving + s_.begin[c];
    Leaving* end = begin + s_.sizes[c];
    Leaving* last = begin + s_.sizes[c] - s_.wanted[c] - 1;
    std::nth_element(begin, last, end);
    s_.price[c] = std::max(s_.price[c], last->loss) + step_;
    s_.end[c] = static_cast<std::int32_t>(last + 1 - s_.leaving);
    s_.member[c] = kNone;
    for (const Leaving* l = last + 1; l < end; ++l) put(l->place, c);
  }

  Leaving cheapest_way_out(int place) const {
    const int first = s_.first[place];
    const int own = s_.way[place];
    const float* costs = s_.costs + std::int64_t{place} * kRoundNeighbours;
    const float* prices = s_.neighbour_prices + std::int64_t{first} * kRoundNeighbours;
    // Whatever the costs are, even NaN, it is somewhere else.
    int best = own == kBack ? 0 : kBack;
    float least = own == kBack ? costs[0] + prices[0] : s_.price[first];
    for (int n = 0; n < neighbour_count_; ++n) {
      const float cost = costs[n] + prices[n];
      const bool less = n != own && cost < least;
      best = less ? n : best;
      least = less ? cost : least;
    }
    const float loss = own == kBack ? least : least - costs[own];
    return {loss == loss ? loss : std::numeric_limits<float>::infinity(), place, best};
  }

  const ClusterKernel& kernel_;
  const Scratch& s_;
  std::uint32_t* block_;  // of rows
  float* products_;
  SourceRows rows_;
  int clusters_;
  std::int64_t dim_;
  int words_;
  int multiple_;
  const float* centroids_;
  const std::int32_t* order_;
  const std::int32_t* offsets_;
  int neighbour_count_ = 0;
  float step_ = 0;
};

}  // namespace

void round_clusters(const ClusterKernel& kernel, const RoundClustersParams& params,
                    Context& context) {
  const std::int64_t clusters = params.centroids.size(1);
  const std::int64_t dim = params.x.size(2);
  if (clusters == 0) return;
  const Arena::Scope scope(context.arena);
  const int words = kernel.words(static_cast<int>(dim));
  const BlockScratch blocks(words, kPanel, context.threads, context.arena);
  std::vector<Scratch> scratch;
  scratch.reserve(static_cast<std::size_t>(context.threads));
  for (int thread = 0; thread < context.threads; ++thread)
    scratch.emplace_back(clusters, params.x.size(1), dim, words, context.arena);
  parallel_for(context.threads, params.x.size(0), 1, [&](auto begin, auto end) {
    const int thread = thread_index();
    for (auto head = begin; head < end; ++head)
      Auction(kernel, params, head, scratch[thread], blocks.rows(thread), blocks.products(thread))
          .run(params.labels[head].template as<std::int32_t>());
  });
}

}  // namespace sparsevid::ops::cpu
