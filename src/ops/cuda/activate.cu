// Activations, with or without a factor. Bound: memory, as elementwise_loop.h.
#include "ops/cuda/common/activation.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/elementwise_loop.h"
#include "ops/cuda/elementwise.h"

namespace sparsevid::ops::cuda {
namespace {

template <typename T, Activation kActivation, bool kGated>
struct Activate {
  const T* x;
  const T* factor;
  T* out;

  template <int kWidth>
  struct Inputs {
    Pack<T, kWidth> x, factor;
  };
  template <int kWidth>
  __device__ void load(std::int64_t begin, Inputs<kWidth>& inputs) const {
    inputs.x = load_once<T, kWidth>(x + begin);
    if constexpr (kGated) inputs.factor = load_once<T, kWidth>(factor + begin);
  }
  template <int kWidth>
  __device__ void finish(std::int64_t begin, const Inputs<kWidth>& inputs) const {
    float values[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] = activation<kActivation>(to_float(inputs.x.value[i]));
      if constexpr (kGated) values[i] *= to_float(inputs.factor.value[i]);
    }
    store_floats(out + begin, values);
  }
};

}  // namespace

void activate(const ActivateParams& params, Context& context) {
  const bool gated = params.factor.defined();
  const bool wide = aligned_to(params.x.data(), 16) && aligned_to(params.out.data(), 16) &&
                    aligned_to(params.factor.data(), 16);
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    constexpr int kWidth = 16 / sizeof(T);
    const T* x = device_pointer<const T>(params.x);
    const T* factor = device_pointer<const T>(params.factor);
    T* out = device_pointer<T>(params.out);
    with_activation(params.activation, [&](auto tag) {
      constexpr Activation kActivation = decltype(tag)::value;
      if (gated) {
        for_each_element<kWidth>(Activate<T, kActivation, true>{x, factor, out}, params.x.numel(),
                                 wide, "activate", context);
      } else {
        for_each_element<kWidth>(Activate<T, kActivation, false>{x, factor, out}, params.x.numel(),
                                 wide, "activate", context);
      }
    });
  });
}

}  // namespace sparsevid::ops::cuda
