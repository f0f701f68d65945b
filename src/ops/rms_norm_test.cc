#include "ops/rms_norm.h"

#include <gtest/gtest.h>

#include "ops/rms_norm_cases.h"
#include "testing/golden.h"

namespace sparsevid::ops {
namespace {

class RmsNormCases : public ::testing::TestWithParam<RmsNormCase> {};

TEST_P(RmsNormCases, EveryImplementationAgreesWithTheReference) {
  const RmsNormInputs inputs(GetParam());
  expect_agreement(rms_norm_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, RmsNormCases, ::testing::ValuesIn(rms_norm_cases()), case_name);

TEST(RmsNorm, MatchesPyTorch) {
  const Golden golden = read_golden("ops.safetensors");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string name = dtype == DType::f32 ? "norm.qk_rms.f32" : "norm.qk_rms.bf16";
    const Tensor x = convert(golden.get("norm.x"), dtype);
    // As the model has it: the weight is in the type of x.
    const Tensor weight = convert(convert(golden.get("norm.weight"), dtype), DType::f32);
    Tensor out(dtype, x->shape());
    Context context;
    rms_norm({x, weight, 1e-6, out}, context);
    EXPECT_TRUE(close(out, golden.get(name), agreement(dtype)));
  }
}

}  // namespace
}  // namespace sparsevid::ops
