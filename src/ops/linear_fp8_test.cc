#include "ops/linear_fp8.h"

#include <gtest/gtest.h>

#include "ops/linear.h"
#include "ops/linear_fp8_cases.h"

namespace sparsevid::ops {
namespace {

// Sums with 13 bits: each of the steps of 32 products may lose 2^-13 of the largest sum so far,
// always downwards; half of that over the 33 steps of the longest case is 2e-3. Rounding to bf16
// adds what `agreement` says.
constexpr double kTolerance = 2e-3;

class LinearFp8Cases : public ::testing::TestWithParam<LinearFp8Case> {};

TEST_P(LinearFp8Cases, EveryImplementationAgreesWithTheReference) {
  const LinearFp8Inputs inputs(GetParam());
  expect_agreement(linear_fp8_implementations(), inputs.params, inputs.params.out, kTolerance);
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, LinearFp8Cases, ::testing::ValuesIn(linear_fp8_cases()), case_name);

TEST(LinearFp8, IsAsFarFromTheExactLayerAsE4m3Allows) {
  // Each operand is rounded to 3 mantissa bits: errors uniform within 2^-4 relative to the power of
  // two below, so between .018 and .036 of it; of two operands together at most .036 sqrt(2) of the
  // product, and the errors of a sum's products are as independent as the products.
  const Tensor x = random_tensor({64, 256}, 1);
  const Tensor weight = random_tensor({48, 256}, 2);
  const Tensor exact(DType::f32, {64, 48});
  const Tensor out(DType::f32, {64, 48});
  const Tensor x8(DType::u8, {64, 256});
  const Tensor w8(DType::u8, {48, 256});
  const Tensor x_scale(DType::f32, {64});
  const Tensor w_scale(DType::f32, {48});
  Context context;
  linear({x, weight, {}, exact, Activation::none}, context);
  quantize_rows({x, x8, x_scale}, context);
  quantize_rows({weight, w8, w_scale}, context);
  linear_fp8({x8, x_scale, w8, w_scale, {}, out, Activation::none}, context);
  EXPECT_TRUE(close(out, exact, .05));
  EXPECT_GT(relative_error(out, exact), .01);
}

}  // namespace
}  // namespace sparsevid::ops
