#include "ops/ref/relative_position_bias.h"

namespace sparsevid::ops::ref {

void relative_position_bias(const RelativePositionBiasParams& params, Context&) {
  const auto* table = params.table.as<float>();
  const auto* buckets = params.buckets.as<std::int32_t>();
  auto* bias = params.bias.as<float>();
  const std::int64_t heads = params.bias.size(0);
  const std::int64_t q_len = params.bias.size(1);
  const std::int64_t k_len = params.bias.size(2);
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t query = 0; query < q_len; ++query)
      for (std::int64_t key = 0; key < k_len; ++key)
        *bias++ = table[buckets[key - query + q_len - 1] * heads + head];
}

}  // namespace sparsevid::ops::ref
