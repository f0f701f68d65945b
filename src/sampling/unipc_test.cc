#include "sampling/unipc.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sampling/scalar_sampler.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

UniPcConfig wan(double shift, SigmaGrid grid) {
  UniPcConfig config;
  config.flow_shift = shift;
  config.grid = grid;
  return config;
}

std::vector<double> head_and_tail(const std::vector<double>& values, std::size_t head,
                                  std::size_t tail) {
  std::vector<double> result(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(head));
  result.insert(result.end(), values.end() - static_cast<std::ptrdiff_t>(tail), values.end());
  return result;
}

TEST(UniPc, LegacyGridOfFiftyStepsHasThePublishedTimes) {
  const auto schedule = make_unipc_schedule(wan(5, SigmaGrid::legacy), 50);
  EXPECT_EQ(head_and_tail(schedule.timesteps, 6, 4),
            (std::vector<double>{999, 995, 991, 987, 982, 978, 302, 241, 172, 92}));
  const std::vector<double> sigmas = {.9997998, .9957324, .9915305, .1722651, .0925069, 0};
  const auto found = head_and_tail(schedule.sigmas, 3, 3);
  for (std::size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(found[i], sigmas[i], 5e-8);
}

TEST(UniPc, CurrentGridOfFiftyStepsHasThePublishedTimes) {
  const auto schedule = make_unipc_schedule(wan(5, SigmaGrid::current), 50);
  EXPECT_EQ(head_and_tail(schedule.timesteps, 6, 4),
            (std::vector<double>{999, 995, 991, 987, 982, 978, 305, 244, 175, 96}));
  const std::vector<double> sigmas = {.999999, .9959391, .1759692, .0967784, 0};
  const auto found = head_and_tail(schedule.sigmas, 2, 3);
  for (std::size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(found[i], sigmas[i], 5e-8);
}

TEST(UniPc, LegacyGridAtOtherStepsAndShifts) {
  EXPECT_EQ(head_and_tail(make_unipc_schedule(wan(5, SigmaGrid::legacy), 40).timesteps, 6, 4),
            (std::vector<double>{999, 994, 989, 983, 978, 972, 356, 288, 208, 113}));
  EXPECT_EQ(head_and_tail(make_unipc_schedule(wan(3, SigmaGrid::legacy), 50).timesteps, 4, 3),
            (std::vector<double>{999, 992, 985, 978, 160, 111, 57}));
}

// v(x, sigma) = 0.5 x + sigma - 0.2 from x = 1; the values were worked out independently.
TEST(UniPc, SixStepsOnAScalarVelocityFieldGiveTheKnownValues) {
  const std::vector<double> legacy = {.94997923, .88650326, .80354943,
                                      .68935908, .53425692, .25101285};
  const std::vector<double> current = {.95005905, .88655082, .80391585,
                                       .68997164, .53511118, .24973298};
  for (const auto grid : {SigmaGrid::legacy, SigmaGrid::current}) {
    const auto schedule = make_unipc_schedule(wan(5, grid), 6);
    const auto x = sample_scalar(schedule, 1);
    const auto& expected = grid == SigmaGrid::legacy ? legacy : current;
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(x[i], expected[i], 5e-8) << i;
  }
}

// A constant velocity is integrated exactly by every order: x falls by sigma.
TEST(UniPc, ConstantVelocityIsIntegratedExactly) {
  for (const int order : {1, 2}) {
    for (const int steps : {1, 2, 3, 7, 50}) {
      auto config = wan(5, SigmaGrid::current);
      config.solver_order = order;
      const auto schedule = make_unipc_schedule(config, steps);
      const auto x = sample_scalar(schedule, 2, [](double, double) { return 0.75; });
      EXPECT_NEAR(x.back(), 2 - 0.75 * schedule.sigmas[0], 1e-12) << order << " " << steps;
    }
  }
}

// dx/dsigma = v with v = x has the solution x0 exp(sigma - sigma0). Halving the step divides the
// error of an order-p method by 2^p; the predictor-corrector of order 2 reaches third order.
TEST(UniPc, ErrorShrinksWithTheOrderOfTheMethod) {
  const auto error = [](int order, int steps) {
    auto config = wan(1, SigmaGrid::current);
    config.solver_order = order;
    const auto schedule = make_unipc_schedule(config, steps);
    const auto x = sample_scalar(schedule, 1, [](double value, double) { return value; });
    // The last level before zero: the final step is always of first order.
    const auto last = static_cast<std::size_t>(steps) - 1;
    return std::abs(x[last - 1] - std::exp(schedule.sigmas[last] - schedule.sigmas[0]));
  };
  EXPECT_LT(error(2, 200), 1e-3);
  EXPECT_LT(error(2, 200), error(1, 200));
  EXPECT_LT(error(2, 200), error(2, 100) / 2);
}

TEST(UniPc, DisabledCorrectorKeepsThePredictedSample) {
  auto config = wan(5, SigmaGrid::current);
  const auto corrected = sample_scalar(make_unipc_schedule(config, 6), 1);
  config.disable_corrector = {0, 1, 2, 3, 4};
  const auto schedule = make_unipc_schedule(config, 6);
  const auto predicted = sample_scalar(schedule, 1);
  EXPECT_DOUBLE_EQ(corrected[0], predicted[0]);
  EXPECT_GT(std::abs(corrected[1] - predicted[1]), 1e-9);
  for (const auto& step : schedule.updates) {
    for (const auto& update : step) {
      if (update.target == Buffer::corrected) {
        EXPECT_EQ(update.terms.size(), 1U);
      }
    }
  }
}

TEST(UniPc, UnsupportedSettingsAreNamed) {
  const std::string base =
      R"("prediction_type": "flow_prediction", "use_flow_sigmas": true, "flow_shift": 3.0)";
  const auto read = [&](const std::string& more) {
    return read_unipc_config(Json::parse("{" + base + more + "}", "scheduler_config.json"));
  };
  EXPECT_EQ(read("").flow_shift, 3.0);
  EXPECT_EQ(read(R"(, "solver_type": "midpoint")").solver_order, 2);
  EXPECT_EQ(read(R"(, "disable_corrector": [0, 1])").disable_corrector, (std::vector<int>{0, 1}));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("solver_type": "bh1")", "'solver_type': only 'bh2' is supported, found 'bh1'"},
      {R"("predict_x0": false)", "'predict_x0': only true is supported, found false"},
      {R"("lower_order_final": false)", "lower_order_final"},
      {R"("thresholding": true)", "'thresholding': only false is supported, found true"},
      {R"("use_karras_sigmas": true)", "use_karras_sigmas"},
      {R"("use_dynamic_shifting": true)", "use_dynamic_shifting"},
      {R"("final_sigmas_type": "sigma_min")", "final_sigmas_type"},
      {R"("solver_p": {})", "solver_p"},
      {R"("shift_terminal": 0.1)", "shift_terminal"},
      {R"("solver_order": 3)", "'solver_order': expected a whole number in [1, 2], found 3"},
      {R"("num_train_timesteps": 0)", "num_train_timesteps"},
  };
  for (const auto& [setting, expected] : cases) {
    const auto message =
        error_of(ErrorKind::bad_file, [&, added = ", " + setting] { read(added); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
    EXPECT_NE(message.find("scheduler_config.json"), std::string::npos) << message;
  }
  EXPECT_NE(error_of(ErrorKind::bad_file, [] { read_unipc_config(Json::parse("{}", "x.json")); })
                .find("prediction_type"),
            std::string::npos);
}

}  // namespace
}  // namespace sparsevid
