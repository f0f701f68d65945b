#include "ops/ref/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/kmeans_seed.h"
#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
namespace {

/// The clustering of one head, all in double.
class HeadClustering {
 public:
  HeadClustering(const TensorView& x, std::int64_t clusters)
      : count_(x.size(0)),
        clusters_(clusters),
        dim_(x.size(1)),
        x_(static_cast<std::size_t>(count_ * dim_)),
        centroids_(static_cast<std::size_t>(clusters * dim_)),
        usable_(static_cast<std::size_t>(clusters), true),
        labels_(static_cast<std::size_t>(count_)),
        counts_(static_cast<std::size_t>(clusters)) {
    for (std::int64_t i = 0; i < count_; ++i)
      for (std::int64_t d = 0; d < dim_; ++d) row(i)[d] = load(x, i, d);
  }

  void start_from_rows(std::uint64_t seed, std::int64_t head) {
    for (std::int64_t c = 0; c < clusters_; ++c) {
      const std::int64_t i = kmeans_seed_row(seed, head, c, clusters_, count_);
      usable_[static_cast<std::size_t>(c)] = i >= 0;
      if (i >= 0) std::copy_n(row(i), dim_, centroid(c));
    }
  }
  void start_from(const TensorView& centroids) {
    for (std::int64_t c = 0; c < clusters_; ++c)
      for (std::int64_t d = 0; d < dim_; ++d) centroid(c)[d] = load(centroids, c, d);
  }

  /// Returns the largest move of a centroid divided by the mean norm of the centroids.
  double iterate() {
    assign();
    const std::vector<double> before = centroids_;
    for (std::int64_t c = 0; c < clusters_; ++c) move_to_mean(c);
    refill();
    double largest = 0;
    double norms = 0;
    for (std::int64_t c = 0; c < clusters_; ++c) {
      largest =
          std::max(largest, distance(centroid(c), &before[static_cast<std::size_t>(c * dim_)]));
      norms += std::sqrt(std::inner_product(centroid(c), centroid(c) + dim_, centroid(c), 0.0));
    }
    return norms > 0 ? std::sqrt(largest) * static_cast<double>(clusters_) / norms : 0;
  }

  void write(const TensorView& centroids, const TensorView& labels, const TensorView& counts) {
    for (std::int64_t c = 0; c < clusters_; ++c) {
      counts.as<std::int32_t>()[c * counts.stride(0)] = counts_[static_cast<std::size_t>(c)];
      for (std::int64_t d = 0; d < dim_; ++d) store(centroids, c, d, centroid(c)[d]);
    }
    for (std::int64_t i = 0; i < count_; ++i)
      labels.as<std::int32_t>()[i * labels.stride(0)] = labels_[static_cast<std::size_t>(i)];
  }

 private:
  double* row(std::int64_t i) { return &x_[static_cast<std::size_t>(i * dim_)]; }
  double* centroid(std::int64_t c) { return &centroids_[static_cast<std::size_t>(c * dim_)]; }
  double distance(const double* a, const double* b) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim_; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
  }

  void assign() {
    std::fill(counts_.begin(), counts_.end(), 0);
    for (std::int64_t i = 0; i < count_; ++i) {
      int best = 0;
      double smallest = std::numeric_limits<double>::infinity();
      for (std::int64_t c = 0; c < clusters_; ++c) {
        if (!usable_[static_cast<std::size_t>(c)]) continue;
        const double squared = distance(row(i), centroid(c));
        if (squared < smallest) {
          smallest = squared;
          best = static_cast<int>(c);
        }
      }
      labels_[static_cast<std::size_t>(i)] = best;
      ++counts_[static_cast<std::size_t>(best)];
    }
  }

  void move_to_mean(std::int64_t c) {
    std::fill_n(centroid(c), dim_, 0.0);
    const double members = counts_[static_cast<std::size_t>(c)];
    for (std::int64_t i = 0; i < count_; ++i) {
      if (labels_[static_cast<std::size_t>(i)] != c) continue;
      for (std::int64_t d = 0; d < dim_; ++d) centroid(c)[d] += row(i)[d] / members;
    }
  }

  void refill() {
    std::vector<bool> splittable(static_cast<std::size_t>(clusters_), true);
    for (std::int64_t empty = 0; empty < clusters_; ++empty) {
      while (counts_[static_cast<std::size_t>(empty)] == 0) {
        std::int64_t largest = -1;
        for (std::int64_t c = 0; c < clusters_; ++c) {
          const int members = counts_[static_cast<std::size_t>(c)];
          if (splittable[static_cast<std::size_t>(c)] && members > 1 &&
              (largest < 0 || members > counts_[static_cast<std::size_t>(largest)]))
            largest = c;
        }
        if (largest < 0) return;
        if (!split(largest, empty)) splittable[static_cast<std::size_t>(largest)] = false;
      }
      usable_[static_cast<std::size_t>(empty)] = true;
    }
  }

  /// Moves the members of `from` that are nearer to its farthest member than to its centroid.
  bool split(std::int64_t from, std::int64_t into) {
    std::int64_t farthest = -1;
    double radius = 0;
    for (std::int64_t i = 0; i < count_; ++i) {
      if (labels_[static_cast<std::size_t>(i)] != from) continue;
      const double squared = distance(row(i), centroid(from));
      if (squared > radius) {
        radius = squared;
        farthest = i;
      }
    }
    // Members that differ only by the rounding of their mean cannot be told apart.
    if (farthest < 0 || radius <= 1e-12 * std::inner_product(row(farthest), row(farthest) + dim_,
                                                             row(farthest), 0.0))
      return false;
    for (std::int64_t i = 0; i < count_; ++i) {
      if (labels_[static_cast<std::size_t>(i)] != from) continue;
      if (i != farthest && distance(row(i), row(farthest)) >= distance(row(i), centroid(from)))
        continue;
      labels_[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(into);
      --counts_[static_cast<std::size_t>(from)];
      ++counts_[static_cast<std::size_t>(into)];
    }
    move_to_mean(from);
    move_to_mean(into);
    return true;
  }

  std::int64_t count_;
  std::int64_t clusters_;
  std::int64_t dim_;
  std::vector<double> x_;
  std::vector<double> centroids_;
  std::vector<bool> usable_;  // false: more clusters than rows, never given a centroid
  std::vector<std::int32_t> labels_;
  std::vector<std::int32_t> counts_;
};

}  // namespace

void kmeans(const KMeansParams& params, Context&) {
  for (std::int64_t head = 0; head < params.x.size(0); ++head) {
    HeadClustering clustering(params.x[head], params.centroids.size(1));
    if (params.warm_start) {
      clustering.start_from(params.centroids[head]);
    } else {
      clustering.start_from_rows(params.seed, head);
    }
    for (int i = 0; i < params.max_iterations; ++i)
      if (clustering.iterate() <= params.tolerance) break;
    clustering.write(params.centroids[head], params.labels[head], params.counts[head]);
  }
}

}  // namespace sparsevid::ops::ref
