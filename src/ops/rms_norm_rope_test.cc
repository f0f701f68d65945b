#include "ops/rms_norm_rope.h"

#include <gtest/gtest.h>

#include "ops/rms_norm_rope_cases.h"

namespace sparsevid::ops {
namespace {

class RmsNormRopeCases : public ::testing::TestWithParam<RmsNormRopeCase> {};

TEST_P(RmsNormRopeCases, EveryImplementationAgreesWithTheReference) {
  const RmsNormRopeInputs inputs(GetParam());
  expect_agreement(rms_norm_rope_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, RmsNormRopeCases, ::testing::ValuesIn(rms_norm_rope_cases()),
                         case_name);

TEST(RmsNormRope, MayWriteOverItsInput) {
  const RmsNormRopeInputs inputs({"", 19, 2, 64, DType::bf16});
  Context context;
  rms_norm_rope(inputs.params, context);
  RmsNormRopeParams in_place = inputs.params;
  in_place.out = in_place.x;
  const Tensor expected = clone(inputs.params.out);
  rms_norm_rope(in_place, context);
  EXPECT_TRUE(bit_equal(clone(in_place.out), expected));
}

}  // namespace
}  // namespace sparsevid::ops
