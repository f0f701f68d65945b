#include "attention/methods/cluster_budget.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/methods/choose.h"
#include "base/parallel.h"

namespace sparsevid {
namespace {

template <typename T>
std::span<T> row(const TensorView& view, std::int64_t head, std::int64_t i) {
  return {view.as<T>() + head * view.stride(0) + i * view.stride(1),
          static_cast<std::size_t>(view.size(2))};
}

}  // namespace

double video_pairs(const HeadsCall& call, double density) {
  const auto all = static_cast<double>(call.tokens());
  const auto video = static_cast<double>(call.video.length);
  return std::max(0.0, density * all * all - (all * all - video * video));
}

void choose_per_row(const AttentionOptions& options, const HeadsCall& call,
                    const Clusters& clusters, const TensorView& scores, const TensorView& priority,
                    const TensorView& chosen, Context& context) {
  const std::int64_t rows = chosen.size(1);
  const double tokens_a_query =
      video_pairs(call, options.density.value_or(0)) / static_cast<double>(call.video.length);
  const int at_least = options.top_p
                           ? std::max(1, static_cast<int>(options.min_clusters *
                                                          static_cast<double>(chosen.size(2))))
                           : 1;
  parallel_for(context.threads, clusters.heads() * rows, 16, [&](auto begin, auto end) {
    std::vector<float> sizes(static_cast<std::size_t>(chosen.size(2)));
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t head = item / rows;
      const std::int64_t i = item % rows;
      const auto kept = row<std::uint8_t>(chosen, head, i);
      if (Clusters::size(clusters.q_offsets, head, i) == 0) {
        std::fill(kept.begin(), kept.end(), std::uint8_t{0});
        continue;
      }
      for (std::size_t j = 0; j < sizes.size(); ++j)
        sizes[j] = static_cast<float>(
            Clusters::size(clusters.k_offsets, head, static_cast<std::int64_t>(j)));
      const std::span<const float> order = row<float>(priority, head, i);
      if (options.top_p) {
        choose_in_row(order, row<float>(scores, head, i), *options.top_p, Crossing::keep, at_least,
                      kept);
      } else {
        choose_in_row(order, sizes, tokens_a_query, Crossing::round, at_least, kept);
      }
    }
  });
}

}  // namespace sparsevid
