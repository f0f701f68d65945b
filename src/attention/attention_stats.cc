#include "attention/attention_stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sparsevid {
namespace {

double mean_of(const std::vector<double>& values, double when_empty) {
  if (values.empty()) return when_empty;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

template <typename Wanted>
double mean_density(const std::vector<AttentionCallStats>& calls, const Wanted& wanted) {
  std::vector<double> densities;
  for (const auto& call : calls)
    if (wanted(call)) densities.push_back(call.density());
  return mean_of(densities, 1);
}

}  // namespace

double AttentionCallStats::density() const { return mean_of(head_density, 1); }

double AttentionQuality::mean_recall() const { return mean_of(recall, 1); }

double AttentionQuality::recall_percentile(double percent) const {
  if (recall.empty()) return 1;
  std::vector<double> sorted = recall;
  std::sort(sorted.begin(), sorted.end());
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::llround(place))];
}

double AttentionQuality::mean_relative_error() const { return mean_of(relative_error, 0); }

double AttentionStats::density() const {
  return mean_density(calls, [](const auto&) { return true; });
}
double AttentionStats::sparse_density() const {
  return mean_density(calls, [](const auto& call) { return !call.dense; });
}
double AttentionStats::density_of_step(int step) const {
  return mean_density(calls, [=](const auto& call) { return call.step == step; });
}
double AttentionStats::density_of_layer(int layer) const {
  return mean_density(calls, [=](const auto& call) { return call.layer == layer; });
}

}  // namespace sparsevid
