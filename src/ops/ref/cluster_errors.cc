#include "ops/ref/cluster_errors.h"

#include <cmath>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void cluster_errors(const ClusterErrorsParams& params, Context&) {
  for (std::int64_t head = 0; head < params.scores.size(0); ++head) {
    const auto* offsets = params.k_offsets[head].as<std::int32_t>();
    for (std::int64_t i = 0; i < params.scores.size(1); ++i) {
      for (std::int64_t j = 0; j < params.scores.size(2); ++j) {
        const double size = offsets[j + 1] - offsets[j];
        double variance = 0;
        for (std::int64_t d = 0; d < params.q_mean.size(2); ++d) {
          const double q = load(params.q_mean[head], i, d);
          variance += q * q * load(params.k_variance[head], j, d);
        }
        const double score = load(params.scores[head], i, j);
        store(params.errors[head], i, j,
              size > 0 ? score * params.scale * std::sqrt(variance) / size : 0);
      }
    }
  }
}

}  // namespace sparsevid::ops::ref
