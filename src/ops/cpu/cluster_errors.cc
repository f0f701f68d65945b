#include "ops/cpu/cluster_errors.h"

#include <algorithm>
#include <bit>

#include "base/parallel.h"
#include "ops/cpu/cluster_panels.h"

namespace sparsevid::ops::cpu {

void cluster_errors(const ClusterKernel& kernel, const ClusterErrorsParams& params,
                    Context& context) {
  const Arena::Scope scope(context.arena);
  const std::int64_t heads = params.scores.size(0);
  const std::int64_t q_clusters = params.scores.size(1);
  const std::int64_t k_clusters = params.scores.size(2);
  const std::int64_t dim = params.q_mean.size(2);
  const std::int64_t panel_count = (k_clusters + kPanel - 1) / kPanel;
  const std::int64_t columns = panel_count * kPanel;
  const int words = kernel.words(static_cast<int>(dim));
  auto* all_panels = context.arena.array<std::uint32_t>(columns * words * context.threads);
  auto* all_weights = context.arena.array<float>(k_clusters * context.threads);
  const BlockScratch scratch(words, columns, context.threads, context.arena);
  parallel_for(context.threads, heads, 1, [&](auto begin, auto end) {
    const int thread = thread_index();
    std::uint32_t* panels = all_panels + columns * words * thread;
    float* weights = all_weights + k_clusters * thread;
    for (auto head = begin; head < end; ++head) {
      const auto* offsets = params.k_offsets[head].template as<std::int32_t>();
      const auto* variance = params.k_variance[head].template as<float>();
      std::fill_n(panels, columns * words, 0U);
      for (std::int64_t j = 0; j < k_clusters; ++j) {
        const int size = offsets[j + 1] - offsets[j];
        weights[j] = size > 0 ? static_cast<float>(params.scale / size) : 0;
        std::uint32_t* column = panels + j / kPanel * words * kPanel + j % kPanel;
        for (std::int64_t d = 0; d < dim; ++d)
          column[d * kPanel] = std::bit_cast<std::uint32_t>(variance[j * dim + d]);
      }
      for (std::int64_t i = 0; i < q_clusters; i += kClusterBlock) {
        const int rows = static_cast<int>(std::min<std::int64_t>(kClusterBlock, q_clusters - i));
        std::uint32_t* packed = scratch.rows(thread);
        for (int r = 0; r < rows; ++r) {
          const auto* q = params.q_mean[head].template as<float>() + (i + r) * dim;
          for (int w = 0; w < words; ++w)
            packed[r * words + w] = std::bit_cast<std::uint32_t>(w < dim ? q[w] * q[w] : 0.F);
        }
        kernel.product({packed, words, 1}, rows, panels, static_cast<int>(panel_count), words,
                       scratch.products(thread));
        kernel.weigh_spread(scratch.products(thread), static_cast<int>(columns), weights, rows,
                            static_cast<int>(k_clusters),
                            params.scores[head].template as<float>() + i * k_clusters,
                            params.errors[head].template as<float>() + i * k_clusters);
      }
    }
  });
}

}  // namespace sparsevid::ops::cpu
