// The activations in float, within a few units in the last place.
#pragma once

#include "ops/activation_kind.h"

namespace sparsevid::ops::cuda {

/// x sigmoid(y); right at both infinities, since 1 / inf is 0.
__device__ inline float times_sigmoid(float x, float y) { return __fdividef(x, 1.0F + __expf(-y)); }

template <Activation kActivation>
__device__ inline float activation(float x) {
  if constexpr (kActivation == Activation::gelu_tanh) {
    // 0.5 (1 + tanh(u)) = sigmoid(2 u)
    constexpr float kTwiceRootTwoOverPi = 1.5957691216057308F;
    return times_sigmoid(x, kTwiceRootTwoOverPi * (x + 0.044715F * x * x * x));
  } else if constexpr (kActivation == Activation::gelu_erf) {
    return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
  } else if constexpr (kActivation == Activation::silu) {
    return times_sigmoid(x, x);
  } else if constexpr (kActivation == Activation::relu) {
    return fmaxf(x, 0.0F);
  } else {
    return x;
  }
}

/// Of both, with three of the slow operations (exponentials and reciprocals) instead of four.
template <Activation kActivation>
__device__ inline float2 activation_pair(float2 x) {
  if constexpr (kActivation == Activation::gelu_tanh) {
    constexpr float kTwiceRootTwoOverPi = 1.5957691216057308F;
    // Where the bound holds, the result is below 1e-15 either way, and the product of both
    // denominators stays finite.
    constexpr float kLeast = -40;
    const auto denominator = [&](float value) {
      const float y = kTwiceRootTwoOverPi * (value + 0.044715F * value * value * value);
      return 1.0F + __expf(-fmaxf(y, kLeast));
    };
    const float a = denominator(x.x);
    const float b = denominator(x.y);
    const float inverse = __fdividef(1.0F, a * b);
    return {x.x * (inverse * b), x.y * (inverse * a)};
  } else {
    return {activation<kActivation>(x.x), activation<kActivation>(x.y)};
  }
}

template <Activation kActivation>
struct ActivationTag {
  static constexpr Activation value = kActivation;
};

/// Calls `run` with the activation as a constant.
template <typename Run>
void with_activation(Activation kind, Run&& run) {
  switch (kind) {
    case Activation::none:
      return run(ActivationTag<Activation::none>());
    case Activation::gelu_tanh:
      return run(ActivationTag<Activation::gelu_tanh>());
    case Activation::gelu_erf:
      return run(ActivationTag<Activation::gelu_erf>());
    case Activation::silu:
      return run(ActivationTag<Activation::silu>());
    case Activation::relu:
      return run(ActivationTag<Activation::relu>());
  }
}

}  // namespace sparsevid::ops::cuda
