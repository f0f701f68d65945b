#include "sampling/scheduler.h"

#include "base/error.h"

namespace sparsevid {
namespace {

constexpr int kMaxSteps = 1000;

std::variant<UniPcConfig, FlowMatchEulerConfig> read_config(const Json& config) {
  const auto name = config.get_string("_class_name");
  if (name == "UniPCMultistepScheduler") return read_unipc_config(config);
  if (name == "FlowMatchEulerDiscreteScheduler") return read_flow_match_euler_config(config);
  fail(ErrorKind::bad_file,
       "{}: expected the scheduler UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler, "
       "found '{}'",
       config.where(), name);
}

}  // namespace

Scheduler::Scheduler(const Json& config)
    : class_name_(config.get_string("_class_name")), config_(read_config(config)) {}

double Scheduler::flow_shift() const {
  const auto* unipc = std::get_if<UniPcConfig>(&config_);
  return unipc != nullptr ? unipc->flow_shift : std::get<FlowMatchEulerConfig>(config_).shift;
}

void Scheduler::set_flow_shift(double shift) {
  require(shift >= 0.01 && shift <= 100, ErrorKind::bad_input,
          "flow shift: expected a number in [0.01, 100], found {}", shift);
  if (auto* unipc = std::get_if<UniPcConfig>(&config_)) {
    unipc->flow_shift = shift;
  } else {
    std::get<FlowMatchEulerConfig>(config_).shift = shift;
  }
}

void Scheduler::set_sigma_grid(SigmaGrid grid) {
  if (auto* unipc = std::get_if<UniPcConfig>(&config_)) unipc->grid = grid;
}

Schedule Scheduler::schedule(int steps) const {
  require(steps >= 1 && steps <= kMaxSteps, ErrorKind::bad_input,
          "steps: expected a number in [1, {}], found {}", kMaxSteps + 0, steps);
  const auto* unipc = std::get_if<UniPcConfig>(&config_);
  return unipc != nullptr
             ? make_unipc_schedule(*unipc, steps)
             : make_flow_match_euler_schedule(std::get<FlowMatchEulerConfig>(config_), steps);
}

}  // namespace sparsevid
