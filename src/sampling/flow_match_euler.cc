#include "sampling/flow_match_euler.h"

#include "sampling/settings.h"

namespace sparsevid {
namespace {

template <typename T>
T shifted(double shift, T level) {
  return static_cast<T>(shift) * level / (1 + static_cast<T>(shift - 1) * level);
}

}  // namespace

FlowMatchEulerConfig read_flow_match_euler_config(const Json& config) {
  for (const auto* key : {"use_dynamic_shifting", "invert_sigmas", "use_karras_sigmas",
                          "use_exponential_sigmas", "use_beta_sigmas", "stochastic_sampling"}) {
    expect_flag(config, key, false, false);
  }
  expect_absent(config, "shift_terminal");
  FlowMatchEulerConfig result;
  result.num_train_timesteps = config.get_int("num_train_timesteps", 1000, 1, 1'000'000);
  result.shift = config.get_double("shift", 1.0, 0.01, 100.0);
  return result;
}

Schedule make_flow_match_euler_schedule(const FlowMatchEulerConfig& config, int steps) {
  const auto train = static_cast<float>(config.num_train_timesteps);
  // The training levels are stored in single precision, and the ends taken from there.
  const double first = static_cast<double>(shifted(config.shift, 1.0F)) * train;
  const double last = static_cast<double>(shifted(config.shift, 1.0F / train)) * train;
  const double stride = steps > 1 ? (last - first) / (steps - 1) : 0;

  Schedule schedule;
  for (int i = 0; i < steps; ++i) {
    const double time = i > 0 && i == steps - 1 ? last : i * stride + first;
    const auto sigma = static_cast<float>(shifted(config.shift, time / train));
    schedule.sigmas.push_back(sigma);
    schedule.timesteps.push_back(sigma * train);
  }
  schedule.sigmas.push_back(0);
  for (std::size_t i = 0; i < schedule.timesteps.size(); ++i) {
    const double step = schedule.sigmas[i + 1] - schedule.sigmas[i];
    schedule.updates.push_back(
        {{Buffer::sample, {{Buffer::sample, 1}, {Buffer::model_output, step}}}});
  }
  return schedule;
}

}  // namespace sparsevid
