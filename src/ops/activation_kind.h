// The activations that models name.
#pragma once

#include <cstdint>

namespace sparsevid::ops {

/// gelu_tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); gelu_erf: x Phi(x); silu: x
/// sigmoid(x).
enum class Activation : std::uint8_t { none, gelu_tanh, gelu_erf, silu, relu };

}  // namespace sparsevid::ops
