#include "ops/ref/guidance.h"

#include "ops/ref/element.h"

namespace sparsevid::ops::ref {

void guidance(const GuidanceParams& params, Context&) {
  const bool rounded = params.cond.dtype() == DType::bf16;
  const auto round = [&](float value) { return rounded ? static_cast<float>(bf16(value)) : value; };
  const auto scale = static_cast<float>(params.scale);
  for (std::int64_t i = 0; i < params.out.numel(); ++i) {
    const auto cond = static_cast<float>(load(params.cond, i));
    const auto uncond = static_cast<float>(load(params.uncond, i));
    const float scaled = round(scale * round(cond - uncond));
    store(params.out, i, round(uncond + scaled));
  }
}

}  // namespace sparsevid::ops::ref
