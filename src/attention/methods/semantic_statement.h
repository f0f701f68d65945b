// The whole of svg2 and semantic-tail in double, from the clusters on: what the tests compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "attention/methods/attention_example.h"
#include "attention/methods/clustering.h"
#include "testing/compare.h"

namespace sparsevid {

class SemanticStatement {
 public:
  SemanticStatement(const AttentionOptions& options, const HeadsCall& call,
                    const Clusters& clusters)
      : options_(options), call_(call), clusters_(clusters) {
    read_clusters();
    for (std::int64_t h = 0; h < call.heads(); ++h) read_head(h);
    choose();
  }

  /// [heads, seq_len, head_dim] f64.
  Tensor output() const {
    Tensor out(DType::f64, call_.q.shape());
    for (std::int64_t h = 0; h < call_.heads(); ++h) write_output(h, out.view()[h]);
    return out;
  }
  double density(std::int64_t h) const {
    double pairs = 0;
    for (int i = 0; i < q_clusters(); ++i)
      for (int j = 0; j < k_clusters(); ++j)
        if (chosen(h, i, j)) pairs += size(q_members_[h], i) * size(k_members_[h], j);
    return pairs / static_cast<double>(call_.tokens() * call_.tokens());
  }
  bool chosen(std::int64_t h, int i, int j) const {
    return i >= clusters_.video_q_clusters || j >= clusters_.video_k_clusters ||
           chosen_[h][i * clusters_.video_k_clusters + j];
  }

 private:
  using Members = std::vector<std::vector<int>>;
  using Rows = std::vector<std::vector<double>>;

  static double size(const Members& members, int c) {
    return static_cast<double>(members[c].size());
  }
  int q_clusters() const { return static_cast<int>(clusters_.q_clusters()); }
  int k_clusters() const { return static_cast<int>(clusters_.k_clusters()); }

  void read_clusters() {
    const auto members = [&](const TensorView& order, const TensorView& offsets) {
      std::vector<Members> result;
      for (std::int64_t h = 0; h < order.size(0); ++h) {
        auto& of_head = result.emplace_back();
        for (std::int64_t c = 0; c + 1 < offsets.size(1); ++c) {
          auto& tokens = of_head.emplace_back();
          for (auto p = element(offsets[h], c); p < element(offsets[h], c + 1); ++p)
            tokens.push_back(static_cast<int>(element(order[h], static_cast<std::int64_t>(p))));
        }
      }
      return result;
    };
    q_members_ = members(clusters_.q_order, clusters_.q_offsets);
    k_members_ = members(clusters_.k_order, clusters_.k_offsets);
  }

  static Rows rows_of(const TensorView& x) {
    const auto flat = to_vector(x);
    Rows rows;
    for (std::int64_t i = 0; i < x.size(0); ++i)
      rows.emplace_back(flat.begin() + i * x.size(1), flat.begin() + (i + 1) * x.size(1));
    return rows;
  }
  static Rows means(const Rows& x, const Members& members) {
    Rows result(members.size(), std::vector<double>(x[0].size()));
    for (std::size_t c = 0; c < members.size(); ++c)
      for (const int token : members[c])
        for (std::size_t d = 0; d < x[0].size(); ++d)
          result[c][d] += x[token][d] / static_cast<double>(members[c].size());
    return result;
  }
  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  }

  void read_head(std::int64_t h) {
    q_.push_back(rows_of(call_.q[h]));
    k_.push_back(rows_of(call_.k[h]));
    v_.push_back(rows_of(call_.v[h]));
    const Rows q_mean = means(q_[h], q_members_[h]);
    k_mean_.push_back(means(k_[h], k_members_[h]));
    v_mean_.push_back(means(v_[h], k_members_[h]));
    const int columns = clusters_.video_k_clusters;
    auto& score = scores_.emplace_back(clusters_.video_q_clusters * columns);
    auto& priority = priorities_.emplace_back(score.size());
    for (int i = 0; i < clusters_.video_q_clusters; ++i) {
      Rows queries = {q_mean[i]};
      if (options_.method == "semantic-tail" && options_.scores_from_queries) {
        queries.clear();
        for (const int token : q_members_[h][i]) queries.push_back(q_[h][token]);
      }
      for (const auto& q : queries) {
        std::vector<double> mass;
        for (int j = 0; j < columns; ++j)
          mass.push_back(size(k_members_[h], j) * std::exp(call_.scale * dot(q, k_mean_[h][j])));
        const double total = std::accumulate(mass.begin(), mass.end(), 0.0);
        for (int j = 0; j < columns; ++j)
          score[i * columns + j] += mass[j] / total / static_cast<double>(queries.size());
      }
      for (int j = 0; j < columns; ++j) {
        double& value = priority[i * columns + j] = score[i * columns + j];
        if (options_.method != "semantic-tail" || !options_.error_per_token) continue;
        double spread = 0;
        for (const int token : k_members_[h][j])
          for (std::size_t d = 0; d < q_mean[i].size(); ++d)
            spread += std::pow(q_mean[i][d] * (k_[h][token][d] - k_mean_[h][j][d]), 2);
        const double members = std::max(1.0, size(k_members_[h], j));
        value *= call_.scale * std::sqrt(spread / members) / members;
      }
    }
  }

  struct Entry {
    double priority;
    double cost;
    std::int64_t head;
    int index;
  };
  /// Sorts and takes, as the text of the method says.
  void take(std::vector<Entry> entries, double budget, bool keep_crossing) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.priority > b.priority; });
    double left = budget;
    for (const Entry& entry : entries) {
      const bool takes =
          left >= entry.cost || (left > 0 && (keep_crossing || 2 * left >= entry.cost));
      if (takes) chosen_[entry.head][entry.index] = true;
      if (left < entry.cost) return;
      left -= entry.cost;
    }
  }

  void choose() {
    const int rows = clusters_.video_q_clusters;
    const int columns = clusters_.video_k_clusters;
    const bool shared = options_.method == "semantic-tail" && options_.shared_threshold;
    const double text = static_cast<double>(call_.text_tokens());
    const double all = static_cast<double>(call_.tokens());
    const double video = all - text;
    const double pairs =
        std::max(0.0, options_.density.value_or(0) * all * all - 2 * text * all + text * text);
    std::vector<Entry> everything;
    double queries_in_all = 0;
    for (std::int64_t h = 0; h < call_.heads(); ++h) {
      chosen_.emplace_back(rows * columns);
      for (int i = 0; i < rows; ++i) {
        std::vector<Entry> row;
        std::vector<Entry> at_least;
        const double queries = size(q_members_[h], i);
        queries_in_all += queries;
        if (queries == 0) continue;
        for (int j = 0; j < columns; ++j) {
          if (k_members_[h][j].empty()) continue;
          const int index = i * columns + j;
          const double cost = options_.top_p ? scores_[h][index] : size(k_members_[h], j);
          row.push_back({priorities_[h][index], cost, h, index});
          at_least.push_back({priorities_[h][index], 1, h, index});
          everything.push_back({priorities_[h][index], cost * queries, h, index});
        }
        if (shared && options_.tail) continue;
        const double number = options_.top_p && !shared
                                  ? std::max(1.0, std::floor(options_.min_clusters * columns))
                                  : 1;
        if (!shared) take(row, options_.top_p ? *options_.top_p : pairs / video, !!options_.top_p);
        if (!shared) take(at_least, number, false);
      }
    }
    if (shared) {
      take(everything,
           options_.top_p ? *options_.top_p * queries_in_all
                          : pairs * static_cast<double>(call_.heads()),
           !!options_.top_p);
    }
  }

  void write_output(std::int64_t h, const TensorView& out) const {
    const bool tail = options_.method == "semantic-tail" && options_.tail;
    for (int i = 0; i < q_clusters(); ++i)
      for (const int query : q_members_[h][i]) {
        std::vector<double> sum(call_.q.size(2));
        double total = 0;
        const auto add = [&](const std::vector<double>& key, const std::vector<double>& value,
                             double count) {
          const double weight = count * std::exp(call_.scale * dot(q_[h][query], key));
          total += weight;
          for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += weight * value[d];
        };
        for (int j = 0; j < k_clusters(); ++j) {
          if (k_members_[h][j].empty()) continue;
          if (chosen(h, i, j)) {
            for (const int key : k_members_[h][j]) add(k_[h][key], v_[h][key], 1);
          } else if (tail) {
            add(k_mean_[h][j], v_mean_[h][j], size(k_members_[h], j));
          }
        }
        for (std::size_t d = 0; d < sum.size(); ++d)
          out[query].as<double>()[d] = total > 0 ? sum[d] / total : 0;
      }
  }

  AttentionOptions options_;
  HeadsCall call_;
  Clusters clusters_;
  std::vector<Members> q_members_, k_members_;
  std::vector<Rows> q_, k_, v_, k_mean_, v_mean_;
  std::vector<std::vector<double>> scores_, priorities_;
  std::vector<std::vector<bool>> chosen_;
};

}  // namespace sparsevid
