#include "ops/cpu/cluster_statistics.h"

#include <algorithm>

#include "base/parallel.h"
#include "ops/cpu/cluster_panels.h"

namespace sparsevid::ops::cpu {

void cluster_statistics(const ClusterKernel& kernel, const ClusterStatisticsParams& params,
                        Context& context) {
  constexpr std::int64_t kClustersAtOnce = 8;
  const std::int64_t clusters = params.mean.size(1);
  const std::int64_t dim = params.mean.size(2);
  const bool with_variance = params.variance.defined();
  const std::int64_t count = params.x.size(0) * clusters;
  parallel_for(context.threads, count, kClustersAtOnce, [&](auto begin, auto end) {
    for (auto item = begin; item < end; ++item) {
      const std::int64_t head = item / clusters;
      const std::int64_t c = item % clusters;
      const auto* offsets = params.offsets[head].template as<std::int32_t>();
      auto* mean = params.mean[head].template as<float>() + c * dim;
      auto* variance =
          with_variance ? params.variance[head].template as<float>() + c * dim : nullptr;
      if (offsets[c] == offsets[c + 1]) {
        std::fill_n(mean, dim, 0.F);
        if (with_variance) std::fill_n(variance, dim, 0.F);
        continue;
      }
      const SourceRows rows(params.x[head]);
      const auto* order = params.order[head].template as<std::int32_t>() + offsets[c];
      kernel.statistics(rows.data, rows.is_bf16, rows.stride, order, offsets[c + 1] - offsets[c],
                        params.x.size(1) - offsets[c], static_cast<int>(dim), mean, variance);
    }
  });
}

}  // namespace sparsevid::ops::cpu
