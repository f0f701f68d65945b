#include "sampling/flow_match_euler.h"

#include <gtest/gtest.h>

#include "sampling/scalar_sampler.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

TEST(FlowMatchEuler, StartsAtOneAndEndsAtZero) {
  FlowMatchEulerConfig config;
  config.shift = 7;
  const auto schedule = make_flow_match_euler_schedule(config, 50);
  EXPECT_EQ(schedule.steps(), 50);
  EXPECT_EQ(schedule.sigmas.front(), 1);
  EXPECT_EQ(schedule.sigmas.back(), 0);
  EXPECT_EQ(schedule.timesteps.front(), 1000);
  for (std::size_t i = 1; i < schedule.sigmas.size(); ++i) {
    EXPECT_LT(schedule.sigmas[i], schedule.sigmas[i - 1]);
  }
}

TEST(FlowMatchEuler, ConstantVelocityIsIntegratedExactly) {
  FlowMatchEulerConfig config;
  config.shift = 3;
  for (const int steps : {1, 2, 9}) {
    const auto schedule = make_flow_match_euler_schedule(config, steps);
    const auto x = sample_scalar(schedule, 2, [](double, double) { return 0.75; });
    EXPECT_NEAR(x.back(), 1.25, 1e-12) << steps;
  }
}

TEST(FlowMatchEuler, UnsupportedSettingsAreNamed) {
  const auto read = [](const std::string& text) {
    return read_flow_match_euler_config(Json::parse(text, "scheduler_config.json"));
  };
  EXPECT_EQ(read(R"({"shift": 7})").shift, 7);
  EXPECT_EQ(read("{}").shift, 1);
  for (const auto* setting :
       {"use_dynamic_shifting", "invert_sigmas", "use_karras_sigmas", "stochastic_sampling"}) {
    const auto message =
        error_of(ErrorKind::bad_file, [&] { read("{\"" + std::string(setting) + "\": true}"); });
    EXPECT_NE(message.find(setting), std::string::npos) << message;
  }
  error_of(ErrorKind::bad_file, [&] { read(R"({"shift_terminal": 0.1})"); });
  error_of(ErrorKind::bad_file, [&] { read(R"({"shift": 0})"); });
}

}  // namespace
}  // namespace sparsevid
