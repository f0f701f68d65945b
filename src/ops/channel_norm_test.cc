#include "ops/channel_norm.h"

#include <gtest/gtest.h>

#include "ops/channel_norm_cases.h"
#include "testing/golden.h"

namespace sparsevid::ops {
namespace {

class ChannelNormCases : public ::testing::TestWithParam<ChannelNormCase> {};

TEST_P(ChannelNormCases, EveryImplementationAgreesWithTheReference) {
  const ChannelNormInputs inputs(GetParam());
  expect_agreement(channel_norm_implementations(), inputs.params, inputs.params.out,
                   agreement(inputs.params.out.dtype()));
}

INSTANTIATE_TEST_SUITE_P(All, ChannelNormCases, ::testing::ValuesIn(channel_norm_cases()),
                         case_name);

TEST(ChannelNorm, GivesZerosForZeros) {
  const Tensor x = constant_tensor({3, 16}, 0);
  const Tensor gamma = random_tensor({16}, 1);
  Context context;
  for (const auto& entry : channel_norm_implementations().entries()) {
    const Tensor out = constant_tensor({3, 16}, 7);
    const ChannelNormParams params{x, gamma, true, out};
    if (!entry.refusal(params, context).empty()) continue;
    entry.run(params, context);
    EXPECT_EQ(max_abs(out), 0) << entry.name;
  }
}

TEST(ChannelNorm, MatchesPyTorch) {
  const Golden golden = read_golden("ops.safetensors");
  const TensorView& channels_first = golden.get("vae_rms.x");  // [1, channels, frames, h, w]
  const std::int64_t channels = channels_first.size(1);
  const std::int64_t rows = channels_first.numel() / channels;
  const Tensor x = clone(channels_first.reshape({channels, rows}).transpose(0, 1));
  const Tensor expected =
      clone(golden.get("vae_rms.f32").reshape({channels, rows}).transpose(0, 1));
  const Tensor out(DType::f32, {rows, channels});
  Context context;
  channel_norm({x, golden.get("vae_rms.gamma").reshape({channels}), false, out}, context);
  EXPECT_TRUE(close(out, expected, agreement(DType::f32)));
}

}  // namespace
}  // namespace sparsevid::ops
