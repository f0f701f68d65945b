#include "pipeline/denoise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sampling/scheduler.h"
#include "testing/compare.h"
#include "testing/expect_error.h"
#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

/// v = gain x + bias, with another bias for each branch; calls attention once for each layer.
class LinearDit final : public Dit {
 public:
  int latent_channels() const override { return 1; }
  int layers() const override { return 3; }
  int heads() const override { return 1; }
  int head_dim() const override { return 1; }
  std::array<int, 3> patch() const override { return {1, 1, 1}; }
  TokenLayout layout(const Shape&) const override { return layout_; }
  std::size_t weight_bytes() const override { return 0; }
  DType dtype() const override { return DType::f32; }
  void set_texts(std::span<const TensorView>, Context&) override {}
  void forward(const DitInput& input, AttentionMethod& attention, const TensorView& velocity,
               Context& context) override {
    inputs.push_back({input.step, input.branch, input.timestep});
    for (int layer = 0; layer < layers(); ++layer)
      attention.run({.q = {},
                     .k = {},
                     .v = {},
                     .layout = layout_,
                     .scale = 1,
                     .layer = layer,
                     .step = input.step,
                     .branch = input.branch},
                    {}, context);
    for (std::int64_t i = 0; i < velocity.numel(); ++i)
      velocity.as<float>()[i] =
          gain * input.latents.as<float>()[i] + (input.branch == 0 ? 0.25F : -0.5F);
  }

  struct Call {
    int step;
    int branch;
    double timestep;
  };
  std::vector<Call> inputs;
  float gain = 0.5F;

 private:
  TokenLayout layout_;
};

class CountingAttention final : public AttentionMethod {
 public:
  void run(const AttentionCall&, const TensorView&, Context&) override { ++calls; }
  const AttentionStats& stats() const override { return stats_; }
  int calls = 0;

 private:
  AttentionStats stats_;
};

class Recorder final : public Observer {
 public:
  void progress(const Progress& progress) override { seen.push_back(progress); }
  std::vector<Progress> seen;
};

Schedule euler(int steps) {
  return Scheduler(Json::parse(R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3})",
                               "scheduler_config.json"))
      .schedule(steps);
}

TEST(Denoise, FollowsTheGuidedVelocityOfEveryStep) {
  LinearDit dit;
  CountingAttention attention;
  Context context;
  ProgressReporter progress(nullptr);
  const Schedule schedule = euler(4);
  const Tensor latents = random_tensor({1, 2, 3, 4}, 1);
  std::vector<double> expected = to_vector(latents);
  for (int step = 0; step < 4; ++step) {
    const auto i = static_cast<std::size_t>(step);
    // u + 3 (c - u) with c - u = 0.75 everywhere
    for (auto& x : expected)
      x += (schedule.sigmas[i + 1] - schedule.sigmas[i]) * (0.5 * x - 0.5 + 3 * 0.75);
  }
  denoise(dit, attention, schedule, {.guidance = 3, .after_step = {}}, latents, progress, context);
  // A dozen float operations on values of order 1.
  EXPECT_TRUE(close(latents, tensor_of({1, 2, 3, 4}, expected), 1e-6));
  EXPECT_EQ(attention.calls, 4 * 2 * 3);
  ASSERT_EQ(dit.inputs.size(), 8U);
  EXPECT_EQ(dit.inputs[3].step, 1);
  EXPECT_EQ(dit.inputs[3].branch, 1);
  EXPECT_EQ(dit.inputs[3].timestep, schedule.timesteps[1]);
}

TEST(Denoise, WithoutGuidanceOnlyTheConditionalBranchRuns) {
  LinearDit dit;
  CountingAttention attention;
  Context context;
  ProgressReporter progress(nullptr);
  const Tensor latents = random_tensor({1, 1, 2, 2}, 1);
  denoise(dit, attention, euler(3), {.guidance = 1, .after_step = {}}, latents, progress, context);
  ASSERT_EQ(dit.inputs.size(), 3U);
  for (const auto& input : dit.inputs) EXPECT_EQ(input.branch, 0);
}

TEST(Denoise, ReportsEveryStep) {
  LinearDit dit;
  CountingAttention attention;
  Context context;
  Recorder recorder;
  ProgressReporter progress(&recorder);
  const Tensor latents = random_tensor({1, 1, 2, 2}, 1);
  std::vector<int> after;
  denoise(
      dit, attention, euler(5),
      {.guidance = 1, .after_step = [&](int step, const TensorView&) { after.push_back(step); }},
      latents, progress, context);
  EXPECT_EQ(after, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(progress.step_seconds().size(), 5U);
  ASSERT_GE(recorder.seen.size(), 6U);
  EXPECT_EQ(recorder.seen.front().step, 0);
  EXPECT_EQ(recorder.seen.back().step, 5);
  EXPECT_EQ(recorder.seen.back().fraction, 1);
  EXPECT_EQ(recorder.seen.back().seconds_left, 0);
}

TEST(Denoise, StopsBetweenLayersWhenCancelled) {
  LinearDit dit;
  CountingAttention attention;
  const std::atomic<bool> cancel = true;
  Context context;
  context.cancel = &cancel;
  ProgressReporter progress(nullptr);
  const Tensor latents = random_tensor({1, 1, 2, 2}, 1);
  error_of(ErrorKind::cancelled, [&] {
    denoise(dit, attention, euler(3), {.guidance = 1, .after_step = {}}, latents, progress,
            context);
  });
  EXPECT_EQ(attention.calls, 0);
}

TEST(Denoise, SaysSoWhenTheNumbersBlowUp) {
  LinearDit dit;
  dit.gain = std::numeric_limits<float>::max();
  CountingAttention attention;
  Context context;
  ProgressReporter progress(nullptr);
  const Tensor latents = random_tensor({1, 1, 2, 2}, 1);
  EXPECT_THAT(error_of(ErrorKind::internal,
                       [&] {
                         denoise(dit, attention, euler(4), {.guidance = 1, .after_step = {}},
                                 latents, progress, context);
                       }),
              ::testing::HasSubstr("not finite"));
}

}  // namespace
}  // namespace sparsevid
