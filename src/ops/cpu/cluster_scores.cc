#include "ops/cpu/cluster_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/parallel.h"
#include "ops/cpu/cluster_panels.h"

namespace sparsevid::ops::cpu {
namespace {

/// Queries ahead whose rows are asked for.
constexpr std::int64_t kPrefetched = 16;
constexpr float kLog2E = std::numbers::log2e_v<float>;

/// The means of a head, with the logarithm of each cluster's size as bias, in base 2.
void pack_means(const ClusterScoresParams& params, std::int64_t head, std::uint8_t* usable,
                ClusterPanels& panels) {
  const auto* offsets = params.k_offsets[head].as<std::int32_t>();
  const std::int64_t clusters = params.k_mean.size(1);
  for (std::int64_t j = 0; j < panels.columns(); ++j) {
    const int size = j < clusters ? offsets[j + 1] - offsets[j] : 0;
    if (j < clusters) usable[j] = size > 0 ? 1 : 0;
    panels.bias()[j] =
        size > 0 ? std::log2(static_cast<float>(size)) : -std::numeric_limits<float>::infinity();
  }
  panels.pack(params.k_mean[head].as<float>(), usable);
}

}  // namespace

void cluster_scores(const ClusterKernel& kernel, const ClusterScoresParams& params,
                    Context& context) {
  const Arena::Scope scope(context.arena);
  const std::int64_t heads = params.q.size(0);
  const std::int64_t q_clusters = params.scores.size(1);
  const std::int64_t k_clusters = params.scores.size(2);
  const std::int64_t dim = params.q.size(2);
  const bool centroids = !params.q_order.defined();
  std::vector<ClusterPanels> panels;
  panels.reserve(static_cast<std::size_t>(heads));
  for (std::int64_t head = 0; head < heads; ++head)
    panels.emplace_back(kernel, k_clusters, dim, context.arena);
  if (heads == 0) return;
  const std::int64_t columns = panels[0].columns();
  const std::int64_t words = panels[0].words();
  auto* usable = context.arena.array<std::uint8_t>(heads * k_clusters);
  const BlockScratch scratch(words, columns, context.threads, context.arena);
  auto* sums = context.arena.array<float>(columns * context.threads);
  parallel_for(context.threads, heads, 1, [&](auto begin, auto end) {
    for (auto head = begin; head < end; ++head)
      pack_means(params, head, usable + head * k_clusters, panels[static_cast<std::size_t>(head)]);
  });
  parallel_for(context.threads, heads * q_clusters, 1, [&](auto begin, auto end) {
    std::uint32_t* packed = scratch.rows(thread_index());
    float* products = scratch.products(thread_index());
    float* sum = sums + columns * thread_index();
    for (auto item = begin; item < end; ++item) {
      const std::int64_t head = item / q_clusters;
      const std::int64_t i = item % q_clusters;
      ClusterPanels& means = panels[static_cast<std::size_t>(head)];
      const SourceRows rows(params.q[head]);
      const auto* order = centroids ? nullptr : params.q_order[head].template as<std::int32_t>();
      const auto* offsets =
          centroids ? nullptr : params.q_offsets[head].template as<std::int32_t>();
      const std::int64_t first = centroids ? i : offsets[i];
      const std::int64_t tokens = centroids ? 0 : params.q_order.size(1);
      const std::int64_t size = centroids ? 1 : offsets[i + 1] - first;
      std::fill_n(sum, columns, 0.F);
      for (std::int64_t begin_of_block = 0; begin_of_block < size;
           begin_of_block += kClusterBlock) {
        const int count =
            static_cast<int>(std::min<std::int64_t>(kClusterBlock, size - begin_of_block));
        for (int r = 0; r < count; ++r) {
          const std::int64_t p = first + begin_of_block + r;
          if (!centroids) rows.prefetch(order[std::min(p + kPrefetched, tokens - 1)], dim);
          kernel.pack_row(rows.row(centroids ? p : order[p]), rows.is_bf16, static_cast<int>(dim),
                          static_cast<int>(words), packed + r * words);
        }
        means.product(packed, count, products);
        kernel.add_softmax(products, means.bias(), static_cast<float>(params.scale) * kLog2E,
                           static_cast<int>(columns), count, sum);
      }
      auto* scores = params.scores[head].template as<float>() + i * k_clusters;
      const float factor = 1 / static_cast<float>(std::max<std::int64_t>(size, 1));
      for (std::int64_t j = 0; j < k_clusters; ++j) scores[j] = sum[j] * factor;
    }
  });
}

}  // namespace sparsevid::ops::cpu
