#include "ops/gated_residual.h"

#include <gtest/gtest.h>

#include "ops/gated_residual_cases.h"
#include "testing/golden.h"

namespace sparsevid::ops {
namespace {

class GatedResidualCases : public ::testing::TestWithParam<GatedResidualCase> {};

TEST_P(GatedResidualCases, EveryImplementationAgreesWithTheReference) {
  const GatedResidualInputs inputs(GetParam());
  expect_agreement(gated_residual_implementations(), inputs.params, inputs.params.x,
                   agreement(inputs.params.x.dtype()));
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, GatedResidualCases, ::testing::ValuesIn(gated_residual_cases()),
                         case_name);

TEST(GatedResidual, MatchesPyTorch) {
  const Golden golden = read_golden("ops.safetensors");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string name =
        dtype == DType::f32 ? "norm.gated_residual.f32" : "norm.gated_residual.bf16";
    const Tensor x = convert(golden.get("norm.x"), dtype);
    Context context;
    const Tensor y = convert(golden.get("norm.y"), dtype);
    gated_residual({x, y, golden.get("norm.gate")}, context);
    EXPECT_TRUE(close(x, golden.get(name), agreement(dtype)));
  }
}

}  // namespace
}  // namespace sparsevid::ops
