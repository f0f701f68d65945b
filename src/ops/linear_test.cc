#include "ops/linear.h"

#include <gtest/gtest.h>

#include "ops/linear_cases.h"

namespace sparsevid::ops {
namespace {

class LinearCases : public ::testing::TestWithParam<LinearCase> {};

TEST_P(LinearCases, EveryImplementationAgreesWithTheReference) {
  const LinearInputs inputs(GetParam());
  expect_agreement(linear_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, LinearCases, ::testing::ValuesIn(linear_cases()), case_name);

TEST(Linear, LeavesEmptyOutputsAlone) {
  Context context;
  const Tensor x(DType::f32, {0, 8});
  const Tensor weight = random_tensor({4, 8}, 1);
  const Tensor out(DType::f32, {0, 4});
  EXPECT_NO_THROW(linear({x, weight, {}, out, Activation::none}, context));
}

TEST(Linear, NamesTheShapesOfTensorsThatDoNotFit) {
  Context context;
  const Tensor x = random_tensor({3, 8}, 1);
  const Tensor weight = random_tensor({4, 9}, 2);
  const Tensor out(DType::f32, {3, 4});
  try {
    linear({x, weight, {}, out, Activation::none}, context);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_NE(std::string(error.what()).find("f32 [4, 9]"), std::string::npos) << error.what();
  }
}

TEST(Linear, AllocatesNothingTheSecondTime) {
  const LinearInputs inputs({"", 64, 128, 96, DType::bf16, DType::bf16});
  Context context;
  linear(inputs.params, context);
  const long before = context.arena.allocations();
  linear(inputs.params, context);
  EXPECT_EQ(context.arena.allocations(), before);
}

}  // namespace
}  // namespace sparsevid::ops
