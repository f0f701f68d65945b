#include "ops/conv3d.h"

#include <gtest/gtest.h>

#include "ops/conv3d_cases.h"

namespace sparsevid::ops {
namespace {

class Conv3dCases : public ::testing::TestWithParam<Conv3dCase> {};

TEST_P(Conv3dCases, EveryImplementationAgreesWithTheReference) {
  const Conv3dInputs inputs(GetParam());
  expect_agreement(conv3d_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
}

INSTANTIATE_TEST_SUITE_P(All, Conv3dCases, ::testing::ValuesIn(conv3d_cases()), case_name);

TEST(Conv3d, GivesTheSameForFramesInTwoChunks) {
  // Causal: the second chunk sees the last two frames of the first instead of padding.
  const Tensor x = random_tensor({6, 5, 7, 8}, 1);
  const Tensor weights = random_tensor({4, 8, 3, 3, 3}, 2);
  const ConvWeight weight{weights, nullptr};
  const Tensor whole(DType::f32, {6, 5, 7, 4});
  const Tensor chunks(DType::f32, {6, 5, 7, 4});
  Context context;
  conv3d({x, &weight, {}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}, whole}, context);
  conv3d({x.view().slice(0, 0, 3),
          &weight,
          {},
          {1, 1, 1},
          {2, 1, 1},
          {0, 1, 1},
          chunks.view().slice(0, 0, 3)},
         context);
  conv3d({x.view().slice(0, 1, 5),
          &weight,
          {},
          {1, 1, 1},
          {0, 1, 1},
          {0, 1, 1},
          chunks.view().slice(0, 3, 3)},
         context);
  EXPECT_TRUE(close(chunks, whole, agreement(DType::f32)));
}

TEST(Conv3d, KeepsItsPackedWeightsWithTheWeight) {
  const Conv3dInputs inputs({"", 2, 6, 6, 8, 8, {1, 3, 3}, DType::f32});
  Context context;
  conv3d(inputs.params, context);
  const void* packed = inputs.weight.packed.get();
  const long before = context.arena.allocations();
  conv3d(inputs.params, context);
  EXPECT_EQ(inputs.weight.packed.get(), packed);
  EXPECT_EQ(context.arena.allocations(), before);
}

}  // namespace
}  // namespace sparsevid::ops
