#include "ops/cpu/pair_density.h"

#include "base/parallel.h"

namespace sparsevid::ops::cpu {

void pair_density(const PairDensityParams& params, Context& context) {
  const std::int64_t rows = params.chosen.size(1);
  const std::int64_t columns = params.chosen.size(2);
  auto* density = params.density.as<double>();
  parallel_for(context.threads, params.chosen.size(0), 1, [&](auto begin, auto end) {
    for (auto head = begin; head < end; ++head) {
      const auto* q_offsets = params.q_offsets[head].template as<std::int32_t>();
      const auto* k_offsets = params.k_offsets[head].template as<std::int32_t>();
      const auto* chosen = params.chosen[head].template as<std::uint8_t>();
      std::int64_t pairs = 0;
      for (std::int64_t i = 0; i < rows; ++i, chosen += columns) {
        std::int64_t keys = 0;
        for (std::int64_t j = 0; j < columns; ++j)
          keys += chosen[j] * (k_offsets[j + 1] - k_offsets[j]);
        pairs += keys * (q_offsets[i + 1] - q_offsets[i]);
      }
      density[head] =
          static_cast<double>(pairs) / (static_cast<double>(q_offsets[rows]) * k_offsets[columns]);
    }
  });
}

}  // namespace sparsevid::ops::cpu
