#include "ops/ref/attend_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {
void attend_row(const TensorView& query, const std::vector<SeenKey>& keys, double scale,
                const TensorView& out) {
  const std::int64_t head_dim = query.size(0);
  std::vector<double> weight(keys.size());
  double top = -std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < keys.size(); ++j) {
    double dot = 0;
    for (std::int64_t d = 0; d < head_dim; ++d) dot += load(query, d) * load(keys[j].key, d);
    weight[j] = scale * dot + keys[j].bias;
    top = std::max(top, weight[j]);
  }
  std::vector<double> sum(static_cast<std::size_t>(head_dim), 0.0);
  double total = 0;
  for (std::size_t j = 0; j < keys.size() && std::isfinite(top); ++j) {
    const double p = std::exp(weight[j] - top);
    total += p;
    for (std::size_t d = 0; d < sum.size(); ++d)
      sum[d] += p * load(keys[j].value, static_cast<std::int64_t>(d));
  }
  for (std::size_t d = 0; d < sum.size(); ++d)
    store(out, static_cast<std::int64_t>(d), total > 0 ? sum[d] / total : 0);
}

}  // namespace sparsevid::ops::ref
