#include "ops/ref/cluster_scores.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
namespace {

/// softmax_j(scale q . k_mean_j + ln size_j); all zero when every cluster is empty.
std::vector<double> masses(const TensorView& q, std::int64_t row, const TensorView& k_mean,
                           const std::int32_t* k_offsets, double scale) {
  std::vector<double> mass(static_cast<std::size_t>(k_mean.size(0)));
  std::vector<double> logits(mass.size(), -INFINITY);
  for (std::int64_t j = 0; j < k_mean.size(0); ++j) {
    const int size = k_offsets[j + 1] - k_offsets[j];
    if (size == 0) continue;
    double dot = 0;
    for (std::int64_t d = 0; d < q.size(1); ++d) dot += load(q, row, d) * load(k_mean, j, d);
    logits[static_cast<std::size_t>(j)] = scale * dot + std::log(size);
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  if (largest == -INFINITY) return mass;
  double sum = 0;
  for (std::size_t j = 0; j < mass.size(); ++j) sum += mass[j] = std::exp(logits[j] - largest);
  for (auto& value : mass) value /= sum;
  return mass;
}

}  // namespace

void cluster_scores(const ClusterScoresParams& params, Context&) {
  for (std::int64_t head = 0; head < params.q.size(0); ++head) {
    const auto* k_offsets = params.k_offsets[head].as<std::int32_t>();
    const TensorView scores = params.scores[head];
    for (std::int64_t i = 0; i < scores.size(0); ++i) {
      const bool centroids = !params.q_order.defined();
      const auto* offsets = centroids ? nullptr : params.q_offsets[head].as<std::int32_t>();
      const std::int64_t begin = centroids ? i : offsets[i];
      const std::int64_t end = centroids ? i + 1 : offsets[i + 1];
      std::vector<double> sum(static_cast<std::size_t>(scores.size(1)));
      for (std::int64_t p = begin; p < end; ++p) {
        const std::int64_t row = centroids ? p : params.q_order[head].as<std::int32_t>()[p];
        const auto mass = masses(params.q[head], row, params.k_mean[head], k_offsets, params.scale);
        for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += mass[j];
      }
      const double members = static_cast<double>(std::max<std::int64_t>(end - begin, 1));
      for (std::int64_t j = 0; j < scores.size(1); ++j)
        store(scores, i, j, sum[static_cast<std::size_t>(j)] / members);
    }
  }
}

}  // namespace sparsevid::ops::ref
