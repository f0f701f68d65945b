#include "ops/to_rgb8.h"

#include <gtest/gtest.h>

#include "ops/to_rgb8_cases.h"

namespace sparsevid::ops {
namespace {

class ToRgb8Cases : public ::testing::TestWithParam<ToRgb8Case> {};

TEST_P(ToRgb8Cases, EveryImplementationAgreesWithTheReference) {
  const ToRgb8Inputs inputs(GetParam());
  expect_agreement(to_rgb8_implementations(), inputs.params, inputs.params.out, 0);
}

INSTANTIATE_TEST_SUITE_P(All, ToRgb8Cases, ::testing::ValuesIn(to_rgb8_cases()), case_name);

TEST(ToRgb8, TruncatesAndClamps) {
  const Tensor x = tensor_of(
      {1, 1, 4, 3}, {-1.5, -1, -0.999, -0.5, 0, 0.0039, 0.5, 0.999, 1, 1.5, 0.00784, 0.0079});
  Context context;
  for (const auto& entry : to_rgb8_implementations().entries()) {
    const Tensor out = constant_tensor({1, 1, 4, 3}, 7, DType::u8);
    if (!entry.refusal({x, out}, context).empty()) continue;
    entry.run({x, out}, context);
    EXPECT_EQ(to_vector(out),
              (std::vector<double>{0, 0, 0, 63, 127, 127, 191, 254, 255, 255, 128, 128}))
        << entry.name;
  }
}

}  // namespace
}  // namespace sparsevid::ops
