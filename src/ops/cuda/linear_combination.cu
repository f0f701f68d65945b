// Sums of tensors with coefficients, four a pass. Bound: memory, as elementwise_loop.h.
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/elementwise_loop.h"
#include "ops/cuda/elementwise.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kTerms = 4;

/// out = keep out + sum of coefficient_i x_i
struct Combine {
  const float* x[kTerms];
  float coefficient[kTerms];
  float keep;
  float* out;

  template <int kWidth>
  struct Inputs {
    Pack<float, kWidth> x[kTerms], out;
  };
  template <int kWidth>
  __device__ void load(std::int64_t begin, Inputs<kWidth>& inputs) const {
    if (keep != 0) inputs.out = load_pack<float, kWidth>(out + begin);
#pragma unroll
    for (int term = 0; term < kTerms; ++term)
      if (x[term] != nullptr) inputs.x[term] = load_once<float, kWidth>(x[term] + begin);
  }
  template <int kWidth>
  __device__ void finish(std::int64_t begin, const Inputs<kWidth>& inputs) const {
    float values[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] = keep != 0 ? keep * inputs.out.value[i] : 0.0F;
#pragma unroll
      for (int term = 0; term < kTerms; ++term)
        if (x[term] != nullptr) values[i] += coefficient[term] * inputs.x[term].value[i];
    }
    store_floats(out + begin, values);
  }
};

}  // namespace

void linear_combination(const LinearCombinationParams& params, Context& context) {
  Combine body = {};
  body.out = device_pointer<float>(params.out);
  bool wide = aligned_to(body.out, 16);
  // Terms that are `out` itself belong to the first pass, before their values are overwritten.
  for (const auto& term : params.terms)
    if (term.x.data() == body.out) body.keep += static_cast<float>(term.coefficient);
  int filled = 0;
  bool written = false;
  const auto flush = [&] {
    for_each_element<4>(body, params.out.numel(), wide, "linear_combination", context);
    for (int term = 0; term < kTerms; ++term) body.x[term] = nullptr;
    body.keep = 1;
    filled = 0;
    written = true;
  };
  for (const auto& term : params.terms) {
    if (term.x.data() == body.out) continue;
    body.x[filled] = device_pointer<const float>(term.x);
    body.coefficient[filled] = static_cast<float>(term.coefficient);
    wide = wide && aligned_to(term.x.data(), 16);
    if (++filled == kTerms) flush();
  }
  if (filled > 0 || !written) flush();
}

}  // namespace sparsevid::ops::cuda
