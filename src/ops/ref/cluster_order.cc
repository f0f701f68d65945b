#include "ops/ref/cluster_order.h"

#include <algorithm>
#include <numeric>

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void cluster_order(const ClusterOrderParams& params, Context&) {
  for (std::int64_t head = 0; head < params.labels.size(0); ++head) {
    const TensorView labels = params.labels[head];
    const std::int64_t count = labels.size(0);
    auto* order = params.order[head].as<std::int32_t>();
    auto* offsets = params.offsets[head].as<std::int32_t>();
    std::iota(order, order + count, 0);
    std::stable_sort(order, order + count, [&](std::int32_t a, std::int32_t b) {
      return load(labels, a * labels.stride(0)) < load(labels, b * labels.stride(0));
    });
    for (std::int64_t c = 0; c < params.offsets.size(1); ++c) {
      const auto* begin = std::partition_point(order, order + count, [&](std::int32_t i) {
        return load(labels, i * labels.stride(0)) < static_cast<double>(c);
      });
      offsets[c] = static_cast<std::int32_t>(begin - order);
    }
  }
}

}  // namespace sparsevid::ops::ref
