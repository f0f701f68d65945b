// Which scheduler a checkpoint asks for, and its schedule.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "io/json.h"
#include "sampling/flow_match_euler.h"
#include "sampling/schedule.h"
#include "sampling/unipc.h"

namespace sparsevid {

/// What scheduler/scheduler_config.json says.
class Scheduler {
 public:
  /// Throws Error(bad_file) for a class or a setting that is not supported, naming it.
  explicit Scheduler(const Json& config);

  /// "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler".
  const std::string& class_name() const { return class_name_; }
  double flow_shift() const;
  void set_flow_shift(double shift);    ///< Error(bad_input) unless in [0.01, 100]
  void set_sigma_grid(SigmaGrid grid);  ///< matters to UniPC only
  /// Error(bad_input) unless 1 <= steps <= 1000.
  Schedule schedule(int steps) const;

 private:
  std::string class_name_;
  std::variant<UniPcConfig, FlowMatchEulerConfig> config_;
};

}  // namespace sparsevid
