// Classifier-free guidance. Bound: memory, as elementwise_loop.h.
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/elementwise_loop.h"
#include "ops/cuda/elementwise.h"

namespace sparsevid::ops::cuda {
namespace {

template <typename T>
struct Guide {
  const T* cond;
  const T* uncond;
  float scale;
  float* out;

  template <int kWidth>
  struct Inputs {
    Pack<T, kWidth> cond, uncond;
  };
  template <int kWidth>
  __device__ void load(std::int64_t begin, Inputs<kWidth>& inputs) const {
    inputs.cond = load_once<T, kWidth>(cond + begin);
    inputs.uncond = load_once<T, kWidth>(uncond + begin);
  }
  template <int kWidth>
  __device__ void finish(std::int64_t begin, const Inputs<kWidth>& inputs) const {
    float values[kWidth];
    const auto rounded = [](float value) { return to_float(from_float<T>(value)); };
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float base = to_float(inputs.uncond.value[i]);
      const float difference = rounded(__fsub_rn(to_float(inputs.cond.value[i]), base));
      // One rounding for each operation: no fused multiply-add.
      values[i] = rounded(__fadd_rn(base, rounded(__fmul_rn(scale, difference))));
    }
    store_floats(out + begin, values);
  }
};

}  // namespace

void guidance(const GuidanceParams& params, Context& context) {
  const bool wide = aligned_to(params.cond.data(), 16) && aligned_to(params.uncond.data(), 16) &&
                    aligned_to(params.out.data(), 16);
  with_float_type(params.cond.dtype(), [&](auto element) {
    using T = decltype(element);
    const Guide<T> body = {device_pointer<const T>(params.cond),
                           device_pointer<const T>(params.uncond), static_cast<float>(params.scale),
                           device_pointer<float>(params.out)};
    for_each_element<16 / sizeof(T)>(body, params.out.numel(), wide, "guidance", context);
  });
}

}  // namespace sparsevid::ops::cuda
