#include "ops/unpatchify.h"

#include <gtest/gtest.h>

#include "ops/unpatchify_cases.h"

namespace sparsevid::ops {
namespace {

class UnpatchifyCases : public ::testing::TestWithParam<PatchifyCase> {};

TEST_P(UnpatchifyCases, EveryImplementationAgreesWithTheReference) {
  const UnpatchifyInputs inputs(GetParam());
  expect_agreement(unpatchify_implementations(), inputs.params, inputs.params.video, 0);
}

INSTANTIATE_TEST_SUITE_P(All, UnpatchifyCases, ::testing::ValuesIn(patchify_cases()), case_name);

TEST(Unpatchify, ReadsAPatchByRowThenColumnThenChannel) {
  // One row per patch; element value = 100 channel + 10 row + column of the video.
  const Tensor rows = tensor_of({2, 8}, {0, 100, 1, 101, 10, 110, 11, 111,  //
                                         2, 102, 3, 103, 12, 112, 13, 113});
  const Tensor video(DType::f32, {2, 1, 2, 4});
  Context context;
  unpatchify({rows, {1, 2, 2}, video}, context);
  EXPECT_EQ(to_vector(video), (std::vector<double>{0, 1, 2, 3, 10, 11, 12, 13,  //
                                                   100, 101, 102, 103, 110, 111, 112, 113}));
}

}  // namespace
}  // namespace sparsevid::ops
