// The cases that test and time ops/activate.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/activate.h"
#include "ops/agreement.h"

namespace sparsevid::ops {

struct ActivateCase {
  std::string_view name;
  std::int64_t count;
  DType dtype;
  Activation activation;
  bool factor = false;
};

inline std::vector<ActivateCase> activate_cases() {
  return {
      {"NoneF32", 37, DType::f32, Activation::none, true},
      {"GeluTanhF32", 1031, DType::f32, Activation::gelu_tanh},
      {"GeluTanhBf16", 1031, DType::bf16, Activation::gelu_tanh},
      {"GatedGeluTanhF32", 1031, DType::f32, Activation::gelu_tanh, true},
      {"GatedGeluTanhBf16", 1031, DType::bf16, Activation::gelu_tanh, true},
      {"GeluErfF32", 1031, DType::f32, Activation::gelu_erf, true},
      {"SiluF32", 1031, DType::f32, Activation::silu},
      {"SiluBf16", 1031, DType::bf16, Activation::silu},
      {"ReluF32", 1031, DType::f32, Activation::relu},
      {"OneBf16", 1, DType::bf16, Activation::silu},
      {"ManyF32", 100003, DType::f32, Activation::silu},
  };
}

struct ActivateInputs {
  Tensor x, factor, out;
  ActivateParams params;

  explicit ActivateInputs(const ActivateCase& c)
      : x(random_tensor({c.count}, 1, c.dtype, {.scale = 3})),
        factor(random_tensor({c.count}, 2, c.dtype)),
        out(c.dtype, {c.count}),
        params{x, c.factor ? factor.view() : TensorView(), c.activation, out} {}
};

}  // namespace sparsevid::ops
