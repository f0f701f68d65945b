// The auction of ops/round_clusters.h, one head a thread. What the tokens may pay, their costs, is
// found once; a round then looks only at the tokens of clusters that have too many.
#include "ops/cpu/round_clusters.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "base/parallel.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {
namespace {

struct Leaving {
  float loss;
  std::int32_t place;
  std::int32_t to;
  bool operator<(const Leaving& other) const {
    return loss < other.loss || (loss == other.loss && place < other.place);
  }
};

/// Memory of one thread.
struct Scratch {
  Scratch(std::int64_t clusters, std::int64_t count, std::int64_t dim, Arena& arena)
      : sizes(arena.array<std::int32_t>(clusters)),
        wanted(arena.array<std::int32_t>(clusters)),
        order(arena.array<std::int32_t>(clusters)),
        begin(arena.array<std::int32_t>(clusters)),
        end(arena.array<std::int32_t>(clusters)),
        price(arena.array<float>(clusters)),
        distances(arena.array<float>(clusters)),
        neighbours(arena.array<std::int32_t>(clusters * kRoundNeighbours)),
        rows(arena.array<float>((kRoundNeighbours + 2) * dim)),
        first(arena.array<std::int32_t>(count)),
        now(arena.array<std::int32_t>(count)),
        costs(arena.array<float>(count * kRoundNeighbours)),
        leaving(arena.array<Leaving>(count)) {}
  std::int32_t* sizes;  // now
  std::int32_t* wanted;
  std::int32_t* order;  // some clusters
  std::int32_t* begin;  // of each cluster in `leaving`
  std::int32_t* end;
  float* price;
  float* distances;          // from one cluster to all
  std::int32_t* neighbours;  // [clusters, kRoundNeighbours]
  float* rows;               // a token, the centroid of its cluster, those of the neighbours
  std::int32_t* first;       // cluster of each place in the order, before
  std::int32_t* now;
  float* costs;  // [count, kRoundNeighbours]
  Leaving* leaving;
};

class Auction {
 public:
  Auction(const RoundClustersParams& params, std::int64_t head, const Scratch& scratch)
      : s_(scratch),
        x_(params.x[head]),
        clusters_(static_cast<int>(params.centroids.size(1))),
        dim_(params.centroids.size(2)),
        multiple_(params.multiple),
        centroids_(params.centroids[head].as<float>()),
        order_(params.order[head].as<std::int32_t>()),
        offsets_(params.offsets[head].as<std::int32_t>()) {}

  void run(std::int32_t* labels) {
    set_sizes();
    if (!set_neighbours()) return;
    for (int c = 0; c < clusters_; ++c) set_costs(c);
    std::fill_n(s_.price, clusters_, 0.F);
    for (int round = 0; round < kRoundRounds; ++round)
      if (!send_away()) break;
    for (int p = 0; p < offsets_[clusters_]; ++p) labels[order_[p]] = s_.now[p];
  }

 private:
  int size(int c) const { return offsets_[c + 1] - offsets_[c]; }
  const float* centroid(int c) const { return centroids_ + c * dim_; }
  const std::int32_t* neighbours(int c) const { return s_.neighbours + c * kRoundNeighbours; }

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

  void set_costs(int c) {
    float* token = s_.rows;
    float* others = token + dim_;
    if (size(c) == 0) return;
    std::copy_n(centroid(c), dim_, others);
    for (int n = 0; n < neighbour_count_; ++n)
      std::copy_n(centroid(neighbours(c)[n]), dim_, others + (n + 1) * dim_);
    for (int p = offsets_[c]; p < offsets_[c + 1]; ++p) {
      s_.first[p] = s_.now[p] = c;
      row_kernels().convert(x_[order_[p]].data(), x_.dtype(), token, DType::f32, dim_);
      float distances[kRoundNeighbours + 1];
      row_kernels().squared_distances(token, others, neighbour_count_ + 1, dim_, distances);
      for (int n = 0; n < neighbour_count_; ++n)
        s_.costs[std::int64_t{p} * kRoundNeighbours + n] = distances[n + 1] - distances[0];
    }
  }

  /// One round; false: no cluster has too many.
  bool send_away() {
    int full = 0;  // clusters with too many
    std::int32_t tokens = 0;
    for (int c = 0; c < clusters_; ++c) {
      if (s_.sizes[c] <= s_.wanted[c]) continue;
      s_.order[full++] = c;
      s_.begin[c] = s_.end[c] = tokens;
      tokens += s_.sizes[c];
    }
    if (full == 0) return false;
    for (int p = 0; p < offsets_[clusters_]; ++p) {
      const int own = s_.now[p];
      if (s_.sizes[own] > s_.wanted[own]) s_.leaving[s_.end[own]++] = cheapest_way_out(p);
    }
    for (int i = 0; i < full; ++i) {
      const int c = s_.order[i];
      Leaving* begin = s_.leaving + s_.begin[c];
      Leaving* last = begin + s_.sizes[c] - s_.wanted[c] - 1;
      std::nth_element(begin, last, s_.leaving + s_.end[c]);
      s_.price[c] = std::max(s_.price[c], last->loss) + step_;
      s_.end[c] = static_cast<std::int32_t>(last + 1 - s_.leaving);
    }
    for (int i = 0; i < full; ++i) {
      const int c = s_.order[i];
      for (int l = s_.begin[c]; l < s_.end[c]; ++l) {
        s_.now[s_.leaving[l].place] = s_.leaving[l].to;
        --s_.sizes[c];
        ++s_.sizes[s_.leaving[l].to];
      }
    }
    return true;
  }

  Leaving cheapest_way_out(int place) const {
    const int first = s_.first[place];
    const int own = s_.now[place];
    const std::int32_t* others = neighbours(first);
    const float* costs = s_.costs + std::int64_t{place} * kRoundNeighbours;
    // Whatever the costs are, even NaN, it is somewhere else.
    int best = own != first ? first : others[0];
    float least = own != first ? s_.price[first] : costs[0] + s_.price[best];
    float own_cost = 0;
    for (int n = 0; n < neighbour_count_; ++n) {
      const int c = others[n];
      const float cost = costs[n];
      if (c == own) own_cost = cost;
      if (c == own || !(cost + s_.price[c] < least)) continue;
      best = c;
      least = cost + s_.price[c];
    }
    const float loss = least - own_cost;
    return {loss == loss ? loss : std::numeric_limits<float>::infinity(), place, best};
  }

  const Scratch& s_;
  TensorView x_;
  int clusters_;
  std::int64_t dim_;
  int multiple_;
  const float* centroids_;
  const std::int32_t* order_;
  const std::int32_t* offsets_;
  int neighbour_count_ = 0;
  float step_ = 0;
};

}  // namespace

void round_clusters(const RoundClustersParams& params, Context& context) {
  const std::int64_t clusters = params.centroids.size(1);
  if (clusters == 0) return;
  const Arena::Scope scope(context.arena);
  std::vector<Scratch> scratch;
  for (int thread = 0; thread < context.threads; ++thread)
    scratch.emplace_back(clusters, params.x.size(1), params.x.size(2), context.arena);
  parallel_for(context.threads, params.x.size(0), 1, [&](auto begin, auto end) {
    for (auto head = begin; head < end; ++head)
      Auction(params, head, scratch[thread_index()])
          .run(params.labels[head].template as<std::int32_t>());
  });
}

}  // namespace sparsevid::ops::cpu
