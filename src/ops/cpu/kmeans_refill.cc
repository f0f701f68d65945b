#include "ops/cpu/kmeans_refill.h"

#include <algorithm>
#include <vector>

#include "ops/cpu/cluster_panels.h"

namespace sparsevid::ops::cpu {
namespace {

/// Members that differ from their mean by less than this share of its squared norm are duplicates
/// up to the rounding of the mean.
constexpr double kDuplicate = 1e-7;

class Refill {
 public:
  Refill(const ClusterKernel& kernel, const TensorView& x, const TensorView& centroids,
         std::int32_t* labels, std::int32_t* counts, std::int32_t* scratch)
      : kernel_(kernel),
        x_(x),
        count_(x.size(0)),
        dim_(x.size(1)),
        clusters_(centroids.size(0)),
        centroids_(centroids.as<float>()),
        labels_(labels),
        counts_(counts),
        members_(scratch) {}

  void run() {
    std::vector<bool> splittable(static_cast<std::size_t>(clusters_), true);
    for (std::int64_t empty = 0; empty < clusters_; ++empty) {
      while (counts_[empty] == 0) {
        std::int64_t largest = -1;
        for (std::int64_t c = 0; c < clusters_; ++c) {
          if (splittable[static_cast<std::size_t>(c)] && counts_[c] > 1 &&
              (largest < 0 || counts_[c] > counts_[largest]))
            largest = c;
        }
        if (largest < 0) return;
        if (!split(largest, empty)) splittable[static_cast<std::size_t>(largest)] = false;
      }
    }
  }

 private:
  float value(std::int64_t row, std::int64_t d) const {
    return x_.is_bf16 ? static_cast<float>(static_cast<const bf16*>(x_.row(row))[d])
                      : static_cast<const float*>(x_.row(row))[d];
  }
  float* centroid(std::int64_t c) const { return centroids_ + c * dim_; }
  double distance_to_centroid(std::int64_t row, std::int64_t c) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim_; ++d) {
      const double difference = value(row, d) - centroid(c)[d];
      sum += difference * difference;
    }
    return sum;
  }
  double distance(std::int64_t a, std::int64_t b) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim_; ++d) {
      const double difference = value(a, d) - value(b, d);
      sum += difference * difference;
    }
    return sum;
  }
  double squared_norm(std::int64_t row) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim_; ++d) sum += double{value(row, d)} * value(row, d);
    return sum;
  }

  bool split(std::int64_t from, std::int64_t into) {
    std::int64_t members = 0;
    for (std::int64_t i = 0; i < count_; ++i)
      if (labels_[i] == from) members_[members++] = static_cast<std::int32_t>(i);
    std::int64_t farthest = -1;
    double radius = 0;
    for (std::int64_t m = 0; m < members; ++m) {
      const double squared = distance_to_centroid(members_[m], from);
      if (squared <= radius) continue;
      radius = squared;
      farthest = members_[m];
    }
    if (farthest < 0 || radius <= kDuplicate * squared_norm(farthest)) return false;
    const auto* stay = std::stable_partition(members_, members_ + members, [&](std::int32_t row) {
      return row == farthest || distance(row, farthest) < distance_to_centroid(row, from);
    });
    const auto moved = static_cast<std::int32_t>(stay - members_);
    if (moved == members) return false;
    for (std::int32_t m = 0; m < moved; ++m) labels_[members_[m]] = static_cast<std::int32_t>(into);
    counts_[into] = moved;
    counts_[from] -= moved;
    move_to_mean(into, members_);
    move_to_mean(from, members_ + moved);
    return true;
  }

  void move_to_mean(std::int64_t c, const std::int32_t* members) const {
    kernel_.statistics(x_.data, x_.is_bf16, x_.stride, members, counts_[c], counts_[c],
                       static_cast<int>(dim_), centroid(c), nullptr);
  }

  const ClusterKernel& kernel_;
  SourceRows x_;
  std::int64_t count_;
  std::int64_t dim_;
  std::int64_t clusters_;
  float* centroids_;
  std::int32_t* labels_;
  std::int32_t* counts_;
  std::int32_t* members_;
};

}  // namespace

void refill_empty_clusters(const ClusterKernel& kernel, const TensorView& x,
                           const TensorView& centroids, std::int32_t* labels, std::int32_t* counts,
                           std::int32_t* scratch) {
  const std::int64_t clusters = centroids.size(0);
  if (std::find(counts, counts + clusters, 0) == counts + clusters) return;
  Refill(kernel, x, centroids, labels, counts, scratch).run();
}

}  // namespace sparsevid::ops::cpu
