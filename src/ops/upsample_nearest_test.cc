#include "ops/upsample_nearest.h"

#include <gtest/gtest.h>

#include "ops/upsample_nearest_cases.h"

namespace sparsevid::ops {
namespace {

class UpsampleNearestCases : public ::testing::TestWithParam<UpsampleNearestCase> {};

TEST_P(UpsampleNearestCases, EveryImplementationAgreesWithTheReference) {
  const UpsampleNearestInputs inputs(GetParam());
  expect_agreement(upsample_nearest_implementations(), inputs.params, inputs.params.out, 0);
}

INSTANTIATE_TEST_SUITE_P(All, UpsampleNearestCases, ::testing::ValuesIn(upsample_nearest_cases()),
                         case_name);

}  // namespace
}  // namespace sparsevid::ops
