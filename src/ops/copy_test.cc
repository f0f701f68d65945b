#include "ops/copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/copy_cases.h"

namespace sparsevid::ops {
namespace {

class CopyCases : public ::testing::TestWithParam<CopyCase> {};

TEST_P(CopyCases, EveryImplementationGivesTheBitsOfTheReference) {
  const CopyInputs inputs(GetParam());
  Context context;
  copy_implementations().entries().back().run(inputs.params, context);
  const Tensor expected(inputs.params.out.dtype(), inputs.params.out.shape());
  for (const auto& entry : copy_implementations().entries()) {
    if (!entry.refusal({inputs.params.x, expected}, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run({inputs.params.x, expected}, context);
    EXPECT_TRUE(bit_equal(expected, inputs.params.out));
  }
}

INSTANTIATE_TEST_SUITE_P(All, CopyCases, ::testing::ValuesIn(copy_cases()), case_name);

TEST(Copy, WritesIntoAStridedOutput) {
  const Tensor x = random_tensor({6, 5, 4}, 1);
  const Tensor memory = constant_tensor({4, 5, 6}, 0);
  Context context;
  copy({x, memory.view().transpose(0, 2)}, context);
  EXPECT_TRUE(bit_equal(clone(memory.view().transpose(0, 2)), x));
}

TEST(Copy, RoundsToBf16LikeTheStorageType) {
  // Ties to both sides, the largest float, infinities, subnormals, zeros.
  std::vector<float> values = {1.00390625F, 1.01171875F, 3.4028235e38F, 1e-40F,        -0.0F,
                               INFINITY,    -INFINITY,   65504,         1.1754944e-38F};
  for (int i = 0; i < 40; ++i) values.push_back(std::ldexp(1.0F + 0x1p-8F + i * 0x1p-20F, i - 20));
  Tensor x(DType::f32, {static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), x->as<float>());
  const Tensor out(DType::bf16, x->shape());
  Context context;
  copy({x, out}, context);
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(out->as<bf16>()[i].bits, bf16(values[i]).bits) << values[i];
}

TEST(Copy, KeepsNanInEveryConversion) {
  Tensor x(DType::f32, {17});
  std::fill_n(x->as<float>(), 17, std::bit_cast<float>(0x7f800001U));
  const Tensor half(DType::bf16, {17});
  const Tensor back(DType::f32, {17});
  Context context;
  copy({x, half}, context);
  copy({half, back}, context);
  for (int i = 0; i < 17; ++i) EXPECT_TRUE(std::isnan(back->as<float>()[i])) << i;
}

}  // namespace
}  // namespace sparsevid::ops
