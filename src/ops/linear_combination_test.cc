#include "ops/linear_combination.h"

#include <gtest/gtest.h>

#include "ops/linear_combination_cases.h"

namespace sparsevid::ops {
namespace {

class LinearCombinationCases : public ::testing::TestWithParam<LinearCombinationCase> {};

TEST_P(LinearCombinationCases, EveryImplementationAgreesWithTheReference) {
  const LinearCombinationInputs inputs(GetParam());
  expect_agreement(linear_combination_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
}

INSTANTIATE_TEST_SUITE_P(All, LinearCombinationCases,
                         ::testing::ValuesIn(linear_combination_cases()), case_name);

}  // namespace
}  // namespace sparsevid::ops
