#include "sampling/unipc.h"

#include <algorithm>
#include <cmath>

#include "sampling/settings.h"

namespace sparsevid {
namespace {

/// The noise levels before shifting; the order of operations decides which model time a level just
/// at a whole number is truncated to, so it is numpy's.
std::vector<double> unshifted_levels(const UniPcConfig& config, int steps) {
  const double last = 1.0 / config.num_train_timesteps;
  const double stride = (last - 1.0) / steps;
  std::vector<double> levels;
  for (int i = 0; i < steps; ++i) {
    if (config.grid == SigmaGrid::current) {
      levels.push_back(i * stride + 1.0);
    } else {
      levels.push_back(1.0 - (i == 0 ? last : (steps - i) * stride + 1.0));
    }
  }
  return levels;
}

void set_levels(const UniPcConfig& config, int steps, Schedule& schedule) {
  constexpr double kEpsilon = 1e-6;  // keeps the logarithm of 1 - sigma finite
  auto levels = unshifted_levels(config, steps);
  const double shift = config.flow_shift;
  for (double& level : levels) level = shift * level / (1 + (shift - 1) * level);
  if (config.grid == SigmaGrid::current && std::abs(levels[0] - 1) < kEpsilon) {
    levels[0] -= kEpsilon;
  }
  for (const double level : levels) {
    schedule.timesteps.push_back(std::trunc(level * config.num_train_timesteps));
    schedule.sigmas.push_back(static_cast<float>(level));
  }
  schedule.sigmas.push_back(0);
}

/// Half the logarithm of the signal-to-noise ratio: log(alpha / sigma), alpha = 1 - sigma.
double lambda(double sigma) { return std::log(1 - sigma) - std::log(sigma); }

/// What both formulas need about the way from step `from` to `from + 1` (section 3.1 of the paper;
/// h is the step in lambda, phi = B(h) = expm1(-h)).
struct Interval {
  Interval(const Schedule& schedule, int from)
      : start(schedule.sigmas[static_cast<std::size_t>(from)]),
        end(schedule.sigmas[static_cast<std::size_t>(from) + 1]),
        h(lambda(end) - lambda(start)),
        phi(std::expm1(-h)),
        ratio(end / start),
        alpha_phi((1 - end) * phi) {
    if (from > 0)
      r = (lambda(schedule.sigmas[static_cast<std::size_t>(from) - 1]) - lambda(start)) / h;
  }
  double start;
  double end;
  double h;
  double phi;
  double ratio;
  double alpha_phi;
  double r = 0;  ///< the step before, as a (negative) multiple of h
};

/// x after the interval, from the corrected x before it.
Update predictor(const Interval& step, int order) {
  if (step.end == 0) return {Buffer::sample, {{Buffer::x0, 1}}};  // the limit h -> infinity
  const double half = order == 2 ? 0.5 / step.r : 0;
  Update update{Buffer::sample,
                {{Buffer::corrected, step.ratio}, {Buffer::x0, -step.alpha_phi * (1 - half)}}};
  if (order == 2) update.terms.push_back({Buffer::previous_x0, -step.alpha_phi * half});
  return update;
}

/// The same x once the prediction at its end is known; `order` is the predictor's.
Update corrector(const Interval& step, int order) {
  double newest = 0.5;  // weight of x0 - previous_x0
  double oldest = 0;    // weight of older_x0 - previous_x0
  if (order == 2) {
    const double k1 = step.phi / -step.h - 1;
    const double b1 = k1 / step.phi;
    const double b2 = 2 * (k1 / -step.h - 0.5) / step.phi;
    const double rho = (b1 - b2) / (1 - step.r);
    newest = b1 - rho;
    oldest = rho / step.r;
  }
  Update update{Buffer::corrected,
                {{Buffer::corrected, step.ratio},
                 {Buffer::previous_x0, -step.alpha_phi * (1 - newest - oldest)},
                 {Buffer::x0, -step.alpha_phi * newest}}};
  if (order == 2) update.terms.push_back({Buffer::older_x0, -step.alpha_phi * oldest});
  return update;
}

}  // namespace

UniPcConfig read_unipc_config(const Json& config) {
  expect_text(config, "prediction_type", "epsilon", "flow_prediction");
  expect_flag(config, "use_flow_sigmas", false, true);
  expect_flag(config, "predict_x0", true, true);
  expect_flag(config, "lower_order_final", true, true);
  expect_text(config, "final_sigmas_type", "zero", "zero");
  for (const auto* key : {"thresholding", "use_karras_sigmas", "use_exponential_sigmas",
                          "use_beta_sigmas", "use_dynamic_shifting"}) {
    expect_flag(config, key, false, false);
  }
  expect_absent(config, "solver_p");
  expect_absent(config, "shift_terminal");
  // Names of other solvers, as in a config written for DPM-Solver, mean "bh2" to diffusers too.
  const auto solver = config.get_string("solver_type", "bh2");
  const bool renamed = solver == "midpoint" || solver == "heun" || solver == "logrho";
  if (!renamed) expect_text(config, "solver_type", "bh2", "bh2");

  UniPcConfig result;
  result.num_train_timesteps = config.get_int("num_train_timesteps", 1000, 1, 1'000'000);
  result.solver_order = config.get_int("solver_order", 2, 1, 2);
  result.flow_shift = config.get_double("flow_shift", 1.0, 0.01, 100.0);
  if (config.has("disable_corrector")) {
    result.disable_corrector = config.get_ints("disable_corrector", -1, 1'000'000);
  }
  return result;
}

Schedule make_unipc_schedule(const UniPcConfig& config, int steps) {
  Schedule schedule;
  set_levels(config, steps, schedule);
  int previous_order = 0;
  for (int i = 0; i < steps; ++i) {
    const int order = std::min({config.solver_order, steps - i, i + 1});
    const bool last = i == steps - 1;
    std::vector<Update> updates;
    updates.push_back({Buffer::x0,
                       {{Buffer::sample, 1},
                        {Buffer::model_output, -schedule.sigmas[static_cast<std::size_t>(i)]}}});
    const bool correct = i > 0 && std::count(config.disable_corrector.begin(),
                                             config.disable_corrector.end(), i - 1) == 0;
    if (!last) {  // the last step takes x0 and nothing else
      updates.push_back(correct ? corrector(Interval(schedule, i - 1), previous_order)
                                : Update{Buffer::corrected, {{Buffer::sample, 1}}});
    }
    updates.push_back(predictor(Interval(schedule, i), order));
    if (!last) {
      if (i > 0) updates.push_back({Buffer::older_x0, {{Buffer::previous_x0, 1}}});
      updates.push_back({Buffer::previous_x0, {{Buffer::x0, 1}}});
    }
    schedule.updates.push_back(std::move(updates));
    previous_order = order;
  }
  return schedule;
}

}  // namespace sparsevid
