#include "ops/cpu/cluster_order.h"

#include <algorithm>

#include "base/parallel.h"

namespace sparsevid::ops::cpu {
namespace {

/// One head: `count` labels in [0, clusters), offsets [clusters + 1].
void sort_by_label(const std::int32_t* labels, std::int64_t count, std::int64_t clusters,
                   std::int32_t* order, std::int32_t* offsets) {
  std::fill_n(offsets, clusters + 1, 0);
  for (std::int64_t i = 0; i < count; ++i) ++offsets[labels[i] + 1];
  for (std::int64_t c = 0; c < clusters; ++c) offsets[c + 1] += offsets[c];
  // offsets[c] serves as the place of the next member, and ends where cluster c + 1 began.
  for (std::int64_t i = 0; i < count; ++i)
    order[offsets[labels[i]]++] = static_cast<std::int32_t>(i);
  for (std::int64_t c = clusters; c > 0; --c) offsets[c] = offsets[c - 1];
  offsets[0] = 0;
}

}  // namespace

void cluster_order(const ClusterOrderParams& params, Context& context) {
  parallel_for(context.threads, params.labels.size(0), 1, [&](auto begin, auto end) {
    for (auto head = begin; head < end; ++head)
      sort_by_label(params.labels[head].template as<std::int32_t>(), params.labels.size(1),
                    params.offsets.size(1) - 1, params.order[head].template as<std::int32_t>(),
                    params.offsets[head].template as<std::int32_t>());
  });
}

}  // namespace sparsevid::ops::cpu
