// Runs a schedule on a single number, for the tests of schedulers.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <vector>

#include "sampling/schedule.h"

namespace sparsevid {

using ScalarVelocity = std::function<double(double x, double sigma)>;

/// The sample after each step, in double precision. Buffers start as NaN, so that an update that
/// reads one before it was written shows.
inline std::vector<double> sample_scalar(
    const Schedule& schedule, double start,
    const ScalarVelocity& velocity = [](double x, double s) { return 0.5 * x + s - 0.2; }) {
  std::array<double, kBufferCount> buffers{};
  buffers.fill(std::numeric_limits<double>::quiet_NaN());
  const auto at = [&](Buffer buffer) -> double& {
    return buffers.at(static_cast<std::size_t>(buffer));
  };
  at(Buffer::sample) = start;
  std::vector<double> samples;
  for (std::size_t i = 0; i < schedule.updates.size(); ++i) {
    at(Buffer::model_output) = velocity(at(Buffer::sample), schedule.sigmas[i]);
    for (const auto& update : schedule.updates[i]) {
      double sum = 0;
      for (const auto& term : update.terms) sum += term.weight * at(term.source);
      at(update.target) = sum;
    }
    samples.push_back(at(Buffer::sample));
  }
  return samples;
}

}  // namespace sparsevid
