#include "ops/activate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/activate_cases.h"
#include "testing/golden.h"

namespace sparsevid::ops {
namespace {

class ActivateCases : public ::testing::TestWithParam<ActivateCase> {};

TEST_P(ActivateCases, EveryImplementationAgreesWithTheReference) {
  const ActivateInputs inputs(GetParam());
  expect_agreement(activate_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
}

INSTANTIATE_TEST_SUITE_P(All, ActivateCases, ::testing::ValuesIn(activate_cases()), case_name);

TEST(Activate, StaysFiniteFarFromZero) {
  const Tensor x = tensor_of({6}, {-1e4, -200, -88.5, 88.5, 200, 1e4});
  for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
    const Tensor out(DType::f32, {6});
    Context context;
    activate({x, {}, kind, out}, context);
    // Left of -88 the true value is below 1e-33; right of 88 it is x.
    EXPECT_TRUE(close_abs(out, tensor_of({6}, {0, 0, 0, 88.5, 200, 1e4}), 1e-30));
  }
}

TEST(Activate, KeepsNan) {
  const Tensor x = tensor_of({1}, {std::nan("")});
  const Tensor out = constant_tensor({1}, 0);
  Context context;
  for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
    activate({x, {}, kind, out}, context);
    EXPECT_TRUE(std::isnan(out->as<float>()[0]));
  }
}

TEST(Activate, MatchesPyTorch) {
  const Golden golden = read_golden("ops.safetensors");
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Activation kind : {Activation::gelu_tanh, Activation::silu}) {
      const std::string name = std::string("act.") +
                               (kind == Activation::silu ? "silu" : "gelu_tanh") +
                               (dtype == DType::f32 ? ".f32" : ".bf16");
      const Tensor x = convert(golden.get("act.x"), dtype);
      const Tensor out(dtype, x->shape());
      Context context;
      activate({x, {}, kind, out}, context);
      EXPECT_TRUE(close(out, golden.get(name), agreement(dtype))) << name;
    }
}

}  // namespace
}  // namespace sparsevid::ops
