// Euler steps along the flow from noise to data.
#pragma once

#include "io/json.h"
#include "sampling/schedule.h"

namespace sparsevid {

/// Keys of scheduler_config.json.
struct FlowMatchEulerConfig {
  int num_train_timesteps = 1000;
  double shift = 1;
};

/// Throws Error(bad_file) on settings that are not supported (dynamic shifting, Karras sigmas,
/// ...).
FlowMatchEulerConfig read_flow_match_euler_config(const Json& config);

/// The levels of a pipeline that gives none of its own, such as Wan's: spaced evenly between the
/// shifted ends of the training levels, and shifted again.
Schedule make_flow_match_euler_schedule(const FlowMatchEulerConfig& config, int steps);

}  // namespace sparsevid
