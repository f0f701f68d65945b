#include "ops/block_sparse_attention_8bit.h"

#include <gtest/gtest.h>

#include "ops/agreement.h"
#include "ops/block_sparse_attention_8bit_cases.h"
#include "testing/compare.h"

namespace sparsevid::ops {
namespace {

Tensor reference(const BlockSparseAttention8bitParams& params, Context& context) {
  return output_of_reference(block_sparse_attention_8bit_implementations(), params, context);
}

template <typename Check>
int with_each_rounding(const BlockSparseAttention8bitParams& params, Context& context,
                       const Check& check) {
  return with_each_but_reference(block_sparse_attention_8bit_implementations(), params, context,
                                 check);
}

#define SKIP_IF_NONE(count) \
  if ((count) == 0) GTEST_SKIP() << "no implementation that rounds runs here"

class BlockSparse8bitCases : public ::testing::TestWithParam<BlockSparse8bitCase> {};

TEST_P(BlockSparse8bitCases, EveryImplementationIsNearTheReference) {
  const BlockSparse8bitCase& c = GetParam();
  const BlockSparse8bitInputs inputs(c);
  Context context;
  const Tensor expected = reference(inputs.params, context);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    EXPECT_TRUE(close(inputs.params.out, expected, attention_8bit_tolerance(c.of.logits)));
  }));
}

INSTANTIATE_TEST_SUITE_P(All, BlockSparse8bitCases,
                         ::testing::ValuesIn(block_sparse_8bit_test_cases()),
                         [](const auto& info) { return std::string(info.param.of.name); });

TEST(BlockSparseAttention8bit, GivesZerosWhenNothingIsChosenAndThereIsNoTail) {
  const BlockSparse8bitInputs inputs(BlockSparse8bitCase{{"", 2, 150, 90, 128, 3, 7, 0, false}});
  Context context;
  SKIP_IF_NONE(with_each_rounding(inputs.params, context,
                                  [&] { EXPECT_EQ(max_abs(inputs.params.out), 0); }));
}

TEST(BlockSparseAttention8bit, IsNearTheReferenceWhereAllButTheLastClustersAreEmpty) {
  for (const double density : {0.0, .5}) {
    BlockSparse8bitInputs inputs(BlockSparse8bitCase{{"", 1, 140, 300, 128, 3, 450, density}});
    auto* offsets = inputs.of.k_clusters.offsets->as<std::int32_t>();
    for (int c = 0; c <= 450; ++c) offsets[c] = std::max(0, (c - 420) * 10);
    inputs.take_means();
    Context context;
    const Tensor expected = reference(inputs.params, context);
    SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
      EXPECT_TRUE(close(inputs.params.out, expected, attention_8bit_tolerance(1)));
    }));
  }
}

TEST(BlockSparseAttention8bit, WeighsACentroidAsItsTokensWhereTheyAreEqual) {
  // The logits of all keys are 0, so that the bias alone gives a centroid its weight.
  BlockSparse8bitInputs inputs(BlockSparse8bitCase{{"", 2, 130, 900, 128, 3, 40, .4}});
  const Tensor keys = constant_tensor({2, 900, 128}, .5, DType::bf16);
  inputs.params.k = keys;
  inputs.take_means();
  Context context;
  const Tensor expected = reference(inputs.params, context);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    EXPECT_TRUE(close(inputs.params.out, expected, attention_8bit_tolerance(0)));
  }));
}

TEST(BlockSparseAttention8bit, ReturnsTheValueThatAllKeysShare) {
  BlockSparse8bitInputs inputs(BlockSparse8bitCase{{"", 2, 137, 333, 128, 3, 20, .4}});
  const Tensor values = constant_tensor({2, 333, 128}, 0.75, DType::bf16);
  inputs.params.v = values;
  inputs.take_means();
  Context context;
  const Tensor expected = constant_tensor({2, 137, 128}, 0.75, DType::bf16);
  // The means of equal values are off by the rounding of their sum.
  SKIP_IF_NONE(with_each_rounding(inputs.params, context,
                                  [&] { EXPECT_TRUE(close(inputs.params.out, expected, 1e-5)); }));
}

TEST(BlockSparseAttention8bit, GivesTheSameBitsTwice) {
  const BlockSparse8bitInputs inputs(BlockSparse8bitCase{{"", 5, 700, 900, 128, 9, 50, .3}});
  Context context;
  Tensor first;
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    first = clone(inputs.params.out);
    with_each_rounding(inputs.params, context,
                       [&] { EXPECT_TRUE(bit_equal(inputs.params.out, first)); });
  }));
}

}  // namespace
}  // namespace sparsevid::ops
