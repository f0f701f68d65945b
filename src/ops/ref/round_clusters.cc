#include "ops/ref/round_clusters.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <vector>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
namespace {

/// Tokens that each cluster has too many; negative: too few.
std::vector<int> excess_of(const std::vector<int>& sizes, int multiple) {
  const auto clusters = static_cast<int>(sizes.size());
  std::vector<int> excess(sizes.size());
  for (int c = 0; c < clusters; ++c) excess[c] = sizes[c] % multiple;
  std::vector<int> ranked(sizes.size());
  std::iota(ranked.begin(), ranked.end(), 0);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](int a, int b) { return excess[a] > excess[b]; });
  const int remainders = std::accumulate(excess.begin(), excess.end(), 0);
  const int up = remainders / multiple;
  excess[ranked[up]] -= remainders % multiple;
  for (int i = 0; i < up; ++i) excess[ranked[i]] -= multiple;
  return excess;
}

class Auction {
 public:
  Auction(const RoundClustersParams& params, std::int64_t head)
      : x_(params.x[head]),
        centroids_(params.centroids[head]),
        order_(params.order[head].as<std::int32_t>()),
        clusters_(static_cast<int>(centroids_.size(0))),
        price_(clusters_) {
    const auto* offsets = params.offsets[head].as<std::int32_t>();
    for (int c = 0; c < clusters_; ++c) {
      sizes_.push_back(offsets[c + 1] - offsets[c]);
      first_.insert(first_.end(), sizes_[c], c);
    }
    now_ = first_;
    excess_ = excess_of(sizes_, params.multiple);
  }

  void run(std::int32_t* labels) {
    set_neighbours();
    for (int round = 0; round < kRoundRounds && !neighbours_.empty(); ++round) send_away();
    for (std::size_t p = 0; p < now_.size(); ++p) labels[order_[p]] = now_[p];
  }

 private:
  double squared_distance(const TensorView& a, const TensorView& b) const {
    double sum = 0;
    for (std::int64_t d = 0; d < a.size(0); ++d) {
      const double difference = load(a, d * a.stride(0)) - load(b, d * b.stride(0));
      sum += difference * difference;
    }
    return sum;
  }

  /// Of each cluster; empty if no two clusters have members.
  void set_neighbours() {
    std::vector<int> used;
    for (int c = 0; c < clusters_; ++c)
      if (sizes_[c] > 0) used.push_back(c);
    if (used.size() < 2) return;
    neighbours_.resize(clusters_);
    double sum = 0;
    for (const int c : used) {
      std::vector<std::tuple<float, int>> others;
      for (const int other : used)
        if (other != c)
          others.emplace_back(squared_distance(centroids_[c], centroids_[other]), other);
      std::sort(others.begin(), others.end());
      sum += std::get<0>(others[0]);
      others.resize(std::min<std::size_t>(others.size(), kRoundNeighbours));
      for (const auto& [distance, other] : others) neighbours_[c].push_back(other);
    }
    step_ = kRoundStep * static_cast<float>(sum / static_cast<double>(used.size()));
  }

  float cost(int place, int cluster) const {
    const TensorView row = x_[order_[place]];
    return static_cast<float>(squared_distance(row, centroids_[cluster]) -
                              squared_distance(row, centroids_[first_[place]]));
  }

  void send_away() {
    std::vector<std::vector<std::tuple<float, int, int>>> leaving(clusters_);
    for (int p = 0; p < static_cast<int>(now_.size()); ++p) {
      const int own = now_[p];
      if (excess_[own] <= 0) continue;
      std::vector<int> choices = {first_[p]};
      choices.insert(choices.end(), neighbours_[first_[p]].begin(), neighbours_[first_[p]].end());
      std::erase(choices, own);
      int best = choices[0];
      for (const int c : choices)
        if (cost(p, c) + price_[c] < cost(p, best) + price_[best]) best = c;
      leaving[own].emplace_back(cost(p, best) + price_[best] - cost(p, own), p, best);
    }
    for (int c = 0; c < clusters_; ++c) {
      if (leaving[c].empty()) continue;
      std::sort(leaving[c].begin(), leaving[c].end());
      leaving[c].resize(excess_[c]);
      price_[c] = std::max(price_[c], std::get<0>(leaving[c].back())) + step_;
    }
    for (int c = 0; c < clusters_; ++c)
      for (const auto& [loss, place, to] : leaving[c]) {
        now_[place] = to;
        --excess_[c];
        ++excess_[to];
      }
  }

  TensorView x_;
  TensorView centroids_;
  const std::int32_t* order_;
  int clusters_;
  std::vector<int> sizes_;
  std::vector<int> first_;  // by place in the order
  std::vector<int> now_;
  std::vector<int> excess_;
  std::vector<float> price_;
  std::vector<std::vector<int>> neighbours_;
  float step_ = 0;
};

}  // namespace

void round_clusters(const RoundClustersParams& params, Context&) {
  if (params.centroids.size(1) == 0) return;
  for (std::int64_t head = 0; head < params.x.size(0); ++head)
    Auction(params, head).run(params.labels[head].as<std::int32_t>());
}

}  // namespace sparsevid::ops::ref
