#include "ops/ref/pair_density.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void pair_density(const PairDensityParams& params, Context&) {
  const TensorView& chosen = params.chosen;
  for (std::int64_t head = 0; head < chosen.size(0); ++head) {
    const auto* q_offsets = params.q_offsets[head].as<std::int32_t>();
    const auto* k_offsets = params.k_offsets[head].as<std::int32_t>();
    double pairs = 0;
    for (std::int64_t i = 0; i < chosen.size(1); ++i)
      for (std::int64_t j = 0; j < chosen.size(2); ++j)
        pairs += load(chosen[head], i, j) * (q_offsets[i + 1] - q_offsets[i]) *
                 (k_offsets[j + 1] - k_offsets[j]);
    store(params.density, head * params.density.stride(0),
          pairs / (static_cast<double>(q_offsets[chosen.size(1)]) * k_offsets[chosen.size(2)]));
  }
}

}  // namespace sparsevid::ops::ref
