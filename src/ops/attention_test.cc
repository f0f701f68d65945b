#include "ops/attention.h"

#include <gtest/gtest.h>

#include "ops/agreement.h"
#include "ops/attention_cases.h"
#include "testing/compare.h"

namespace sparsevid::ops {
namespace {

Tensor reference(const AttentionParams& params, Context& context) {
  return output_of_reference(attention_implementations(), params, context);
}

class AttentionCases : public ::testing::TestWithParam<AttentionCase> {};

TEST_P(AttentionCases, EveryImplementationAgreesWithTheReference) {
  const AttentionCase& c = GetParam();
  const AttentionInputs inputs(c);
  Context context;
  const Tensor expected = reference(inputs.params, context);
  for (const auto& entry : attention_implementations().entries()) {
    if (!entry.refusal(inputs.params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run(inputs.params, context);
    EXPECT_TRUE(close(inputs.params.out, expected, attention_tolerance(c.dtype, c.logits)));
  }
}

INSTANTIATE_TEST_SUITE_P(All, AttentionCases, ::testing::ValuesIn(attention_test_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

/// Runs `body` with every implementation that takes these parameters.
template <typename Body>
void with_each(const AttentionParams& params, Context& context, const Body& body) {
  for (const auto& entry : attention_implementations().entries()) {
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run(params, context);
    body();
  }
}

TEST(Attention, GivesZerosWhereEveryKeyIsMasked) {
  const AttentionInputs inputs({"", 2, 37, 100, 64, DType::bf16, 1, false, false, 100});
  Context context;
  with_each(inputs.params, context, [&] { EXPECT_EQ(max_abs(inputs.params.out), 0); });
}

TEST(Attention, GivesZerosWithoutKeys) {
  const AttentionInputs inputs({"", 2, 37, 0, 64});
  Context context;
  with_each(inputs.params, context, [&] { EXPECT_EQ(max_abs(inputs.params.out), 0); });
}

TEST(Attention, TreatsAMaskedKeyAsIfItWereAbsent) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    AttentionInputs inputs({"", 2, 37, 200, 64, dtype, 1, false, false, 90});
    for (std::int64_t j = 0; j < 110; ++j) inputs.key_bias->as<float>()[j] = 0;
    Context context;
    AttentionParams shorter = inputs.params;
    shorter.k = inputs.params.k.slice(1, 0, 110);
    shorter.v = inputs.params.v.slice(1, 0, 110);
    shorter.key_bias = {};
    const Tensor expected = reference(shorter, context);
    with_each(inputs.params, context, [&] {
      EXPECT_TRUE(close(inputs.params.out, expected, attention_tolerance(dtype, 1)));
    });
  }
}

TEST(Attention, ReturnsTheValueThatAllKeysShare) {
  AttentionInputs inputs({"", 2, 37, 333, 64, DType::f32, 5});
  inputs.v = constant_tensor({2, 333, 64}, 0.7);
  inputs.params.v = inputs.v;
  Context context;
  const Tensor expected = constant_tensor({2, 37, 64}, 0.7);
  // Rounding of two sums of 333 terms of one sign, the weights' and the weighted values'.
  with_each(inputs.params, context,
            [&] { EXPECT_TRUE(close_abs(inputs.params.out, expected, 1e-5)); });
}

TEST(Attention, SurvivesLogitsOfTenThousandOfBothSigns) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    for (const double size : {1e4, -1e4}) {
      AttentionInputs inputs({"", 1, 40, 150, 64, dtype});
      inputs.q = constant_tensor({1, 40, 64}, 1, dtype);
      inputs.k = constant_tensor({1, 150, 64}, size / 8, dtype);
      inputs.params.q = inputs.q;
      inputs.params.k = inputs.k;
      Context context;
      const Tensor expected = reference(inputs.params, context);
      with_each(inputs.params, context, [&] {
        EXPECT_TRUE(close(inputs.params.out, expected, attention_tolerance(dtype, 1e4)));
      });
    }
  }
}

TEST(Attention, FollowsAMaximumThatKeepsRising) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    AttentionInputs inputs({"", 1, 70, 1000, 64, dtype});
    inputs.q = constant_tensor({1, 70, 64}, 1, dtype);
    inputs.params.q = inputs.q;
    for (std::int64_t j = 0; j < 1000; ++j)
      for (std::int64_t d = 0; d < 64; ++d) {
        const auto value = static_cast<float>(j) / 40;  // logits from 0 to 200
        if (dtype == DType::bf16) {
          inputs.k->as<bf16>()[j * 64 + d] = bf16(value);
        } else {
          inputs.k->as<float>()[j * 64 + d] = value;
        }
      }
    Context context;
    const Tensor expected = reference(inputs.params, context);
    with_each(inputs.params, context, [&] {
      EXPECT_TRUE(close(inputs.params.out, expected, attention_tolerance(dtype, 200)));
    });
  }
}

TEST(Attention, GivesTheSameBitsWithAnyNumberOfThreads) {
  const AttentionInputs inputs({"", 3, 700, 300, 64});
  Context one;
  one.threads = 1;
  attention(inputs.params, one);
  const Tensor expected = clone(inputs.params.out);
  Context three;
  three.threads = 3;
  attention(inputs.params, three);
  EXPECT_TRUE(bit_equal(inputs.params.out, expected));
}

TEST(Attention, AllocatesNothingTheSecondTime) {
  const AttentionInputs inputs({"", 3, 700, 300, 64});
  Context context;
  attention(inputs.params, context);
  const long allocations = context.arena.allocations();
  attention(inputs.params, context);
  EXPECT_EQ(context.arena.allocations(), allocations);
}

TEST(Attention, RefusesTensorsOutsideItsContract) {
  AttentionInputs inputs({"", 2, 10, 10, 16});
  Context context;
  inputs.params.k = inputs.params.k.slice(2, 0, 8);
  EXPECT_THROW(attention(inputs.params, context), Error);
}

}  // namespace
}  // namespace sparsevid::ops
