#include "ops/layer_norm.h"

#include <gtest/gtest.h>

#include "ops/layer_norm_cases.h"
#include "testing/golden.h"

namespace sparsevid::ops {
namespace {

class LayerNormCases : public ::testing::TestWithParam<LayerNormCase> {};

TEST_P(LayerNormCases, EveryImplementationAgreesWithTheReference) {
  const LayerNormInputs inputs(GetParam());
  expect_agreement(layer_norm_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
  EXPECT_TRUE(inputs.out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(All, LayerNormCases, ::testing::ValuesIn(layer_norm_cases()), case_name);

TEST(LayerNorm, KeepsItsAccuracyFarFromZero) {
  // Mean 1000, deviation 1: the mean must go before the squares are summed.
  const Tensor x = random_tensor({8, 512}, 1, DType::f32, {.mean = 1000});
  const Tensor out(DType::f32, {8, 512});
  // x itself is rounded to 2^-24 * 1000 = 6e-5 of a deviation; the mean in f32 as much.
  expect_agreement(layer_norm_implementations(), {x, {}, {}, 1e-6, out}, out, 1e-4);
}

TEST(LayerNorm, MayWriteOverItsInput) {
  const Tensor x = random_tensor({9, 100}, 1, DType::bf16);
  const Tensor expected(DType::bf16, {9, 100});
  Context context;
  layer_norm({x, {}, {}, 1e-6, expected}, context);
  layer_norm({x, {}, {}, 1e-6, x}, context);
  EXPECT_TRUE(bit_equal(x, expected));
}

TEST(LayerNorm, MatchesPyTorch) {
  const Golden golden = read_golden("ops.safetensors");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string name =
        dtype == DType::f32 ? "norm.layer_affine.f32" : "norm.layer_affine.bf16";
    const Tensor x = convert(golden.get("norm.x"), dtype);
    Tensor out(dtype, x->shape());
    Context context;
    layer_norm({x, golden.get("norm.weight"), golden.get("norm.bias"), 1e-6, out}, context);
    EXPECT_TRUE(close(out, golden.get(name), agreement(dtype)));
  }
}

}  // namespace
}  // namespace sparsevid::ops
