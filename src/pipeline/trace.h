// What ran when, as a file for the viewers of Chrome traces (ui.perfetto.dev, chrome://tracing).
#pragma once

#include <string>
#include <vector>

#include "base/profile.h"

namespace sparsevid {

/// Zones of the device that computes, and what the host went through meanwhile.
struct Trace {
  std::string device;  ///< its name
  std::vector<Span> on_device;
  std::vector<Span> on_host;
};

/// One complete event ("ph": "X") for each span, in microseconds from the first; a track for the
/// host and one for the device. Ops are of the category "op": what they leave of a step is idle.
std::string to_json(const Trace& trace);

}  // namespace sparsevid
