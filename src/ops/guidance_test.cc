#include "ops/guidance.h"

#include <gtest/gtest.h>

#include "ops/guidance_cases.h"

namespace sparsevid::ops {
namespace {

class GuidanceCases : public ::testing::TestWithParam<GuidanceCase> {};

TEST_P(GuidanceCases, EveryImplementationAgreesWithTheReference) {
  const GuidanceInputs inputs(GetParam());
  expect_agreement(guidance_implementations(), inputs.params, inputs.params.out,
                   GetParam().dtype == DType::bf16 ? 0 : agreement(DType::f32));
}

INSTANTIATE_TEST_SUITE_P(All, GuidanceCases, ::testing::ValuesIn(guidance_cases()), case_name);

TEST(Guidance, RoundsEachOfItsThreeOperationsInBf16) {
  // cond - uncond = 1 - 2^-8 is a bf16; times 5 is 4.98046875, which rounds to 4.96875 (ulp 2^-5,
  // tie to even); plus 2^-8 = 4.97265625 rounds to 4.96875. Without roundings: 4.984375.
  const Tensor cond = tensor_of({1}, {1}, DType::bf16);
  const Tensor uncond = tensor_of({1}, {0x1p-8}, DType::bf16);
  Context context;
  for (const auto& entry : guidance_implementations().entries()) {
    const Tensor out = constant_tensor({1}, 7);
    const GuidanceParams params{cond, uncond, 5, out};
    if (!entry.refusal(params, context).empty()) continue;
    entry.run(params, context);
    EXPECT_EQ(out->as<float>()[0], 4.96875F) << entry.name;
  }
}

}  // namespace
}  // namespace sparsevid::ops
