#include "ops/patchify.h"

#include <gtest/gtest.h>

#include "ops/patchify_cases.h"

namespace sparsevid::ops {
namespace {

class PatchifyCases : public ::testing::TestWithParam<PatchifyCase> {};

TEST_P(PatchifyCases, EveryImplementationAgreesWithTheReference) {
  const PatchifyInputs inputs(GetParam());
  expect_agreement(patchify_implementations(), inputs.params, inputs.params.out, 0);
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, PatchifyCases, ::testing::ValuesIn(patchify_cases()), case_name);

TEST(Patchify, OrdersAPatchByChannelThenRowThenColumn) {
  // Element value = 100 channel + 10 row + column.
  Tensor video(DType::f32, {2, 1, 2, 4});
  for (int c = 0; c < 2; ++c)
    for (int h = 0; h < 2; ++h)
      for (int w = 0; w < 4; ++w)
        video->as<float>()[(c * 2 + h) * 4 + w] = static_cast<float>(100 * c + 10 * h + w);
  const Tensor out(DType::f32, {2, 8});
  Context context;
  patchify({video, {1, 2, 2}, out}, context);
  EXPECT_EQ(to_vector(out), (std::vector<double>{0, 1, 10, 11, 100, 101, 110, 111,  //
                                                 2, 3, 12, 13, 102, 103, 112, 113}));
}

}  // namespace
}  // namespace sparsevid::ops
