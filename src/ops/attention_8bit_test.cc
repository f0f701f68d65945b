#include "ops/attention_8bit.h"

#include <gtest/gtest.h>

#include "core/e4m3.h"
#include "ops/agreement.h"
#include "ops/attention_8bit_cases.h"
#include "testing/compare.h"
#include "testing/element.h"

namespace sparsevid::ops {
namespace {

Tensor reference(const Attention8bitParams& params, Context& context) {
  return output_of_reference(attention_8bit_implementations(), params, context);
}

template <typename Check>
int with_each_rounding(const Attention8bitParams& params, Context& context, const Check& check) {
  return with_each_but_reference(attention_8bit_implementations(), params, context, check);
}

#define SKIP_IF_NONE(count) \
  if ((count) == 0) GTEST_SKIP() << "no implementation that rounds runs here"

class Attention8bitCases : public ::testing::TestWithParam<Attention8bitCase> {};

TEST_P(Attention8bitCases, EveryImplementationIsNearTheReference) {
  const Attention8bitCase& c = GetParam();
  const Attention8bitInputs inputs(c);
  Context context;
  const Tensor expected = reference(inputs.params, context);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    EXPECT_TRUE(close(inputs.params.out, expected, attention_8bit_tolerance(c.logits)));
  }));
}

INSTANTIATE_TEST_SUITE_P(All, Attention8bitCases, ::testing::ValuesIn(attention_8bit_test_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

/// `x` rounded to e4m3 with one scale for the whole tensor.
Tensor rounded_to_e4m3(const TensorView& x) {
  Tensor rounded = clone(x);
  const double scale = kLargestE4m3 / max_abs(x);
  for (std::int64_t i = 0; i < rounded->numel(); ++i)
    rounded->as<bf16>()[i] = bf16(static_cast<float>(
        from_e4m3(to_e4m3(static_cast<float>(element(rounded, i) * scale))) / scale));
  return rounded;
}

/// The error of exact attention over queries, keys and values in e4m3 with one scale a tensor, the
/// usual way to do it in 8 bits, without that way's rounding of the weights.
double error_with_scales_of_tensors(const Attention8bitParams& params, const Tensor& expected,
                                    Context& context) {
  Attention8bitParams rounded = params;
  const Tensor q = rounded_to_e4m3(params.q);
  const Tensor k = rounded_to_e4m3(params.k);
  const Tensor v = rounded_to_e4m3(params.v);
  rounded.q = q;
  rounded.k = k;
  rounded.v = v;
  return relative_error(reference(rounded, context), expected);
}

TEST(Attention8bit, IsNoFurtherFromExactThanE4m3WithOneScaleATensor) {
  const Attention8bitInputs inputs({"", 2, 200, 1500});
  Context context;
  const Tensor expected = reference(inputs.params, context);
  const double bound = error_with_scales_of_tensors(inputs.params, expected, context);
  EXPECT_GT(bound, .03);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    EXPECT_LE(relative_error(inputs.params.out, expected), bound);
  }));
}

TEST(Attention8bit, HasHalfThatErrorWhereAFewChannelsAreLarge) {
  const Attention8bitInputs inputs({"", 2, 200, 1500, 128, 1, true, Channels8bit::large});
  Context context;
  const Tensor expected = reference(inputs.params, context);
  const double bound = error_with_scales_of_tensors(inputs.params, expected, context);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    EXPECT_LE(relative_error(inputs.params.out, expected), bound / 2);
  }));
}

TEST(Attention8bit, LosesNothingOverManyKeys) {
  // Sums of 30,000 weights of one sign, cut off after 14 bits at every 32nd, would be short by
  // several percent, and the output with them.
  Attention8bitInputs inputs({"", 1, 64, 30000, 128, .5});
  Context context;
  const Tensor expected = reference(inputs.params, context);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context, [&] {
    EXPECT_TRUE(close(inputs.params.out, expected, attention_8bit_tolerance(.5)));
  }));
}

TEST(Attention8bit, ReturnsTheValueThatAllKeysShare) {
  Attention8bitInputs inputs({"", 2, 37, 333, 128, 5});
  const Tensor values = constant_tensor({2, 333, 128}, 0.75, DType::bf16);
  inputs.params.v = values;
  Context context;
  const Tensor expected = constant_tensor({2, 37, 128}, 0.75, DType::bf16);
  SKIP_IF_NONE(with_each_rounding(inputs.params, context,
                                  [&] { EXPECT_TRUE(close(inputs.params.out, expected, 0)); }));
}

TEST(Attention8bit, RefusesToAttendToNothing) {
  const Attention8bitInputs inputs({"", 2, 10, 0});
  Context context;
  EXPECT_THROW(attention_8bit(inputs.params, context), Error);
}

}  // namespace
}  // namespace sparsevid::ops
