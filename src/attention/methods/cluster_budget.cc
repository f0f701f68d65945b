#include "attention/methods/cluster_budget.h"

#include <algorithm>

namespace sparsevid {
namespace {

ops::ChooseClustersParams choice(const AttentionOptions& options, const HeadsCall& call,
                                 const Clusters& clusters, const TensorView& scores,
                                 const TensorView& priority) {
  ops::ChooseClustersParams params;
  params.priority = priority;
  params.q_offsets = clusters.q_offsets;
  params.k_offsets = clusters.k_offsets;
  params.chosen = clusters.chosen;
  if (options.top_p) {
    params.mass = scores;
    params.budget = *options.top_p;
    params.crossing = ops::Crossing::keep;
  } else {
    params.budget =
        video_pairs(call, options.density.value_or(0)) / static_cast<double>(call.video.length);
    params.crossing = ops::Crossing::round;
  }
  return params;
}

}  // namespace

double video_pairs(const HeadsCall& call, double density) {
  const auto all = static_cast<double>(call.tokens());
  const auto video = static_cast<double>(call.video.length);
  return std::max(0.0, density * all * all - (all * all - video * video));
}

ops::ChooseClustersParams choice_per_row(const AttentionOptions& options, const HeadsCall& call,
                                         const Clusters& clusters, const TensorView& scores,
                                         const TensorView& priority) {
  ops::ChooseClustersParams params = choice(options, call, clusters, scores, priority);
  params.at_least = 1;
  if (options.top_p)
    params.at_least = std::max(
        1, static_cast<int>(options.min_clusters * static_cast<double>(clusters.video_k_clusters)));
  return params;
}

ops::ChooseClustersParams choice_shared(const AttentionOptions& options, const HeadsCall& call,
                                        const Clusters& clusters, const TensorView& scores,
                                        const TensorView& priority) {
  ops::ChooseClustersParams params = choice(options, call, clusters, scores, priority);
  params.shared = true;
  params.at_least = options.tail ? 0 : 1;
  return params;
}

}  // namespace sparsevid
