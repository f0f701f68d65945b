#include "ops/layer_norm_modulate.h"

#include <gtest/gtest.h>

#include "ops/layer_norm_modulate_cases.h"
#include "testing/golden.h"

namespace sparsevid::ops {
namespace {

class LayerNormModulateCases : public ::testing::TestWithParam<LayerNormModulateCase> {};

TEST_P(LayerNormModulateCases, EveryImplementationAgreesWithTheReference) {
  const LayerNormModulateInputs inputs(GetParam());
  expect_agreement(layer_norm_modulate_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, LayerNormModulateCases,
                         ::testing::ValuesIn(layer_norm_modulate_cases()), case_name);

TEST(LayerNormModulate, MatchesPyTorch) {
  const Golden golden = read_golden("ops.safetensors");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string name = dtype == DType::f32 ? "norm.adaln.f32" : "norm.adaln.bf16";
    const Tensor x = convert(golden.get("norm.x"), dtype);
    Tensor out(dtype, x->shape());
    Context context;
    layer_norm_modulate({x, golden.get("norm.scale"), golden.get("norm.shift"), 1e-6, out},
                        context);
    EXPECT_TRUE(close(out, golden.get(name), agreement(dtype)));
  }
}

}  // namespace
}  // namespace sparsevid::ops
