#include "ops/ref/cluster_statistics.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void cluster_statistics(const ClusterStatisticsParams& params, Context&) {
  for (std::int64_t head = 0; head < params.x.size(0); ++head) {
    const TensorView x = params.x[head];
    const auto* order = params.order[head].as<std::int32_t>();
    const auto* offsets = params.offsets[head].as<std::int32_t>();
    for (std::int64_t c = 0; c < params.mean.size(1); ++c) {
      const double members = offsets[c + 1] - offsets[c];
      for (std::int64_t d = 0; d < x.size(1); ++d) {
        double mean = 0;
        double variance = 0;
        for (int p = offsets[c]; p < offsets[c + 1]; ++p) mean += load(x, order[p], d) / members;
        for (int p = offsets[c]; p < offsets[c + 1]; ++p) {
          const double distance = load(x, order[p], d) - mean;
          variance += distance * distance / members;
        }
        store(params.mean[head], c, d, mean);
        if (params.variance.defined()) store(params.variance[head], c, d, variance);
      }
    }
  }
}

}  // namespace sparsevid::ops::ref
