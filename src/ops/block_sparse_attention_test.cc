#include "ops/block_sparse_attention.h"

#include <gtest/gtest.h>

#include "ops/agreement.h"
#include "ops/attention.h"
#include "ops/block_sparse_attention_cases.h"
#include "testing/compare.h"

namespace sparsevid::ops {
namespace {

/// As for dense attention; means are rounded to bf16 too, which moves the logits of a few keys.
double tolerance(const BlockSparseCase& c) {
  const double logits_of_means = c.tail && c.dtype == DType::bf16 ? c.logits * 0x1p-9 : 0;
  return attention_tolerance(c.dtype, c.logits) + std::min(logits_of_means, 0x1p-5);
}

Tensor reference(const BlockSparseAttentionParams& params, Context& context) {
  return output_of_reference(block_sparse_attention_implementations(), params, context);
}

/// Runs `body` with every implementation that takes these parameters.
template <typename Body>
void with_each(const BlockSparseAttentionParams& params, Context& context, const Body& body) {
  for (const auto& entry : block_sparse_attention_implementations().entries()) {
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run(params, context);
    body();
  }
}

class BlockSparseCases : public ::testing::TestWithParam<BlockSparseCase> {};

TEST_P(BlockSparseCases, EveryImplementationAgreesWithTheReference) {
  const BlockSparseInputs inputs(GetParam());
  Context context;
  const Tensor expected = reference(inputs.params, context);
  with_each(inputs.params, context,
            [&] { EXPECT_TRUE(close(inputs.params.out, expected, tolerance(GetParam()))); });
}

INSTANTIATE_TEST_SUITE_P(All, BlockSparseCases, ::testing::ValuesIn(block_sparse_test_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BlockSparseAttention, EqualsDenseAttentionWhenEverythingIsChosen) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    for (const bool tail : {false, true}) {
      const BlockSparseInputs inputs(
          {"", 2, 500, 410, 64, 7, 13, 1, tail, ClusterSizes::uneven, dtype});
      Context context;
      attention(inputs.dense.params, context);
      const Tensor dense = clone(inputs.dense.params.out);
      with_each(inputs.params, context, [&] {
        EXPECT_TRUE(close(inputs.params.out, dense, attention_tolerance(dtype, 1)));
      });
    }
  }
}

TEST(BlockSparseAttention, GivesZerosWhenNothingIsChosenAndThereIsNoTail) {
  const BlockSparseInputs inputs({"", 2, 150, 90, 64, 3, 7, 0, false});
  Context context;
  with_each(inputs.params, context, [&] { EXPECT_EQ(max_abs(inputs.params.out), 0); });
}

TEST(BlockSparseAttention, IsExactWithATailWhereTheKeysOfAClusterAreEqual) {
  BlockSparseInputs inputs({"", 1, 200, 150, 64, 4, 6, .4, true, ClusterSizes::uneven, DType::f32});
  const auto* offsets = inputs.k_clusters.offsets->as<std::int32_t>();
  const auto* order = inputs.k_clusters.order->as<std::int32_t>();
  auto* k = inputs.dense.k->as<float>();
  for (int c = 0; c < 6; ++c)
    for (auto place = offsets[c]; place < offsets[c + 1]; ++place)
      std::copy_n(k + order[offsets[c]] * 64, 64, k + order[place] * 64);
  inputs.k_mean = cluster_means(inputs.params.k, inputs.k_clusters);
  inputs.params.k_mean = inputs.k_mean;
  Context context;
  attention(inputs.dense.params, context);
  const Tensor dense = clone(inputs.dense.params.out);
  // The means of equal keys are off by the rounding of their sum.
  with_each(inputs.params, context, [&] { EXPECT_TRUE(close(inputs.params.out, dense, 1e-5)); });
}

TEST(BlockSparseAttention, GivesTheMeanOfTheValuesForAConstantInput) {
  BlockSparseInputs inputs({"", 2, 200, 150, 64, 4, 6, .4, true, ClusterSizes::holes});
  inputs.dense.q = constant_tensor({2, 200, 64}, .5, DType::bf16);
  inputs.dense.k = constant_tensor({2, 150, 64}, .5, DType::bf16);
  inputs.params.q = inputs.dense.q;
  inputs.params.k = inputs.dense.k;
  inputs.k_mean = cluster_means(inputs.params.k, inputs.k_clusters);
  inputs.params.k_mean = inputs.k_mean;
  Context context;
  const Tensor expected = reference(inputs.params, context);
  with_each(inputs.params, context, [&] {
    EXPECT_TRUE(close(inputs.params.out, expected, attention_tolerance(DType::bf16, 1)));
  });
}

TEST(BlockSparseAttention, TakesTheMeansItself) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    for (const ClusterSizes sizes : {ClusterSizes::uneven, ClusterSizes::holes}) {
      // More heads than a kernel may pack at a time; 80 is no multiple of AMX's 32.
      BlockSparseInputs inputs({"", 9, 300, 333, 80, 5, 40, .4, true, sizes, dtype, true});
      Context context;
      const Tensor expected = reference(inputs.params, context);
      const Tensor k_mean = clone(inputs.k_mean);
      const Tensor v_mean = clone(inputs.v_mean);
      inputs.params.takes_means = true;
      const auto spoil = [&] {
        inputs.k_mean = constant_tensor(k_mean->shape(), __builtin_nan(""));
        inputs.v_mean = constant_tensor(k_mean->shape(), __builtin_nan(""));
        inputs.params.k_mean = inputs.k_mean;
        inputs.params.v_mean = inputs.v_mean;
      };
      spoil();
      with_each(inputs.params, context, [&] {
        EXPECT_TRUE(close(inputs.k_mean, k_mean, 1e-5));
        EXPECT_TRUE(close(inputs.v_mean, v_mean, 1e-5));
        EXPECT_TRUE(close(inputs.params.out, expected,
                          tolerance({.tail = true, .dtype = dtype, .logits = 1})));
        spoil();
      });
    }
  }
}

TEST(BlockSparseAttention, GivesTheSameBitsWithAnyNumberOfThreads) {
  const BlockSparseInputs inputs({"", 3, 700, 600, 64, 9, 17, .3});
  Context one;
  one.threads = 1;
  block_sparse_attention(inputs.params, one);
  const Tensor expected = clone(inputs.params.out);
  Context three;
  three.threads = 3;
  block_sparse_attention(inputs.params, three);
  EXPECT_TRUE(bit_equal(inputs.params.out, expected));
}

TEST(BlockSparseAttention, AllocatesNothingTheSecondTime) {
  const BlockSparseInputs inputs({"", 3, 700, 600, 64, 9, 17, .3});
  Context context;
  block_sparse_attention(inputs.params, context);
  const long allocations = context.arena.allocations();
  block_sparse_attention(inputs.params, context);
  EXPECT_EQ(context.arena.allocations(), allocations);
}

TEST(BlockSparseAttention, RefusesAMeanOfKeysWithoutOneOfValues) {
  BlockSparseInputs inputs({"", 1, 70, 60, 64, 3, 5, .3});
  inputs.params.v_mean = {};
  Context context;
  EXPECT_THROW(block_sparse_attention(inputs.params, context), Error);
}

TEST(BlockSparseAttention, RefusesToTakeMeansWithoutAPlaceForThem) {
  BlockSparseInputs inputs({"", 1, 70, 60, 64, 3, 5, .3, false});
  inputs.params.takes_means = true;
  Context context;
  EXPECT_THROW(block_sparse_attention(inputs.params, context), Error);
}

}  // namespace
}  // namespace sparsevid::ops
