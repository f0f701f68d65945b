#include "ops/band_attention.h"

#include <gtest/gtest.h>

#include "ops/agreement.h"
#include "ops/attention.h"
#include "ops/band_attention_cases.h"
#include "testing/compare.h"

namespace sparsevid::ops {
namespace {

Tensor reference(const BandAttentionParams& params, Context& context) {
  return output_of_reference(band_attention_implementations(), params, context);
}

/// Runs `body` with every implementation that takes these parameters.
template <typename Body>
void with_each(const BandAttentionParams& params, Context& context, const Body& body) {
  for (const auto& entry : band_attention_implementations().entries()) {
    if (!entry.refusal(params, context).empty()) continue;
    SCOPED_TRACE(entry.name);
    entry.run(params, context);
    body();
  }
}

class BandCases : public ::testing::TestWithParam<BandCase> {};

TEST_P(BandCases, EveryImplementationAgreesWithTheReference) {
  const BandInputs inputs(GetParam());
  Context context;
  const Tensor expected = reference(inputs.params, context);
  with_each(inputs.params, context, [&] {
    EXPECT_TRUE(close(inputs.params.out, expected, attention_tolerance(GetParam().dtype, 1)));
  });
}

INSTANTIATE_TEST_SUITE_P(All, BandCases, ::testing::ValuesIn(band_test_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BandAttention, EqualsDenseAttentionWhenTheBandHoldsEverything) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const BandInputs inputs({"", 5, 80, 400, 64, 3, 4, dtype});
    Context context;
    attention(inputs.dense.params, context);
    const Tensor dense = clone(inputs.dense.params.out);
    with_each(inputs.params, context,
              [&] { EXPECT_TRUE(close(inputs.params.out, dense, attention_tolerance(dtype, 1))); });
  }
}

TEST(BandAttention, SeesNothingBeyondTheBandAndTheFirstFrame) {
  BandInputs inputs({"", 5, 80, 25, 64, 0, 0, DType::f32});
  Context context;
  band_attention(inputs.params, context);
  const Tensor before = clone(inputs.params.out);
  // Token 399 is the last in both orders: the queries more than 25 places before it in a head's
  // order must not notice a change of it.
  for (std::int64_t head = 0; head < 2; ++head)
    for (std::int64_t d = 0; d < 64; ++d) {
      inputs.dense.k->as<float>()[(head * 400 + 399) * 64 + d] = 0;
      inputs.dense.v->as<float>()[(head * 400 + 399) * 64 + d] = 5;
    }
  band_attention(inputs.params, context);
  for (std::int64_t head = 0; head < 2; ++head)
    for (std::int64_t token = 0; token < 400; ++token) {
      const std::int64_t place = head == 0 ? token : token % 80 * 5 + token / 80;
      // A key seen weighs about 1 / 130; one not seen may still move the rounding of its tile.
      const double change =
          max_abs_error(inputs.params.out[head][token], before.view()[head][token]);
      EXPECT_EQ(change<1e-5, 399 - place> 25) << "head " << head << ", token " << token;
    }
}

TEST(BandAttention, AllocatesNothingTheSecondTime) {
  const BandInputs inputs({"", 5, 80, 25});
  Context context;
  band_attention(inputs.params, context);
  const long allocations = context.arena.allocations();
  band_attention(inputs.params, context);
  EXPECT_EQ(context.arena.allocations(), allocations);
}

TEST(BandAttention, RefusesAVideoLongerThanTheSequence) {
  BandInputs inputs({"", 5, 80, 25});
  inputs.params.frames = 6;
  Context context;
  EXPECT_THROW(band_attention(inputs.params, context), Error);
}

}  // namespace
}  // namespace sparsevid::ops
