#include "sampling/scheduler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sampling/scalar_sampler.h"
#include "testing/expect_error.h"
#include "testing/golden.h"

namespace sparsevid {
namespace {

Scheduler scheduler_of(const nlohmann::json& item) {
  const auto name = item.at("scheduler").get<std::string>();
  const auto shift = item.contains("shift") ? item.at("shift") : item.at("flow_shift");
  const nlohmann::json config = {{"_class_name", name},
                                 {"prediction_type", "flow_prediction"},
                                 {"use_flow_sigmas", true},
                                 {"flow_shift", shift},
                                 {"shift", shift}};
  return Scheduler(Json::parse(config.dump(), "scheduler_config.json"));
}

TEST(Scheduler, EqualsDiffusersInTimesLevelsAndSteps) {
  const auto golden = read_golden_json("schedulers.json");
  for (const auto& item : golden.raw().at("cases")) {
    // Levels given by the pipeline, as HunyuanVideo's does, are not read from the config.
    if (item.value("grid", "default") == "explicit") continue;
    const auto scheduler = scheduler_of(item);
    const auto what = item.at("scheduler").get<std::string>() + " shift " +
                      std::to_string(scheduler.flow_shift()) + " steps " + item.at("steps").dump();
    const auto schedule = scheduler.schedule(item.at("steps").get<int>());
    EXPECT_EQ(schedule.timesteps, item.at("timesteps").get<std::vector<double>>()) << what;
    EXPECT_EQ(schedule.sigmas, item.at("sigmas").get<std::vector<double>>()) << what;
    const auto x = sample_scalar(schedule, golden.raw().at("x0").get<double>());
    const auto expected = item.at("x_f64").get<std::vector<double>>();
    ASSERT_EQ(x.size(), expected.size()) << what;
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(x[i], expected[i], 2e-6) << what << " step " << i;
    }
  }
}

TEST(Scheduler, ReadsThePublishedConfigFile) {
  const Scheduler scheduler(read_golden_json("wan_t2v_tiny/scheduler/scheduler_config.json"));
  EXPECT_EQ(scheduler.class_name(), "UniPCMultistepScheduler");
  EXPECT_EQ(scheduler.flow_shift(), 5.0);
}

TEST(Scheduler, FlowShiftCanBeReplaced) {
  for (const auto* name : {"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"}) {
    auto scheduler = scheduler_of({{"scheduler", name}, {"flow_shift", 5}});
    const auto reference = scheduler_of({{"scheduler", name}, {"flow_shift", 3}});
    scheduler.set_flow_shift(3);
    EXPECT_EQ(scheduler.flow_shift(), 3);
    EXPECT_EQ(scheduler.schedule(7).sigmas, reference.schedule(7).sigmas);
    error_of(ErrorKind::bad_input, [&] { scheduler.set_flow_shift(0); });
    error_of(ErrorKind::bad_input, [&] { scheduler.set_flow_shift(std::nan("")); });
  }
}

TEST(Scheduler, LegacyGridCanBeChosen) {
  auto scheduler = scheduler_of({{"scheduler", "UniPCMultistepScheduler"}, {"flow_shift", 5}});
  scheduler.set_sigma_grid(SigmaGrid::legacy);
  EXPECT_EQ(scheduler.schedule(50).timesteps.back(), 92);
}

TEST(Scheduler, RefusesUnknownClassesAndImpossibleStepCounts) {
  const auto message = error_of(ErrorKind::bad_file, [] {
    Scheduler(Json::parse(R"({"_class_name": "DDIMScheduler"})", "scheduler_config.json"));
  });
  EXPECT_NE(message.find("'DDIMScheduler'"), std::string::npos) << message;
  error_of(ErrorKind::bad_file, [] { Scheduler(Json::parse("{}", "scheduler_config.json")); });
  const auto scheduler =
      scheduler_of({{"scheduler", "UniPCMultistepScheduler"}, {"flow_shift", 5}});
  for (const int steps : {0, -1, 1001}) {
    error_of(ErrorKind::bad_input, [&] { scheduler.schedule(steps); });
  }
}

}  // namespace
}  // namespace sparsevid
