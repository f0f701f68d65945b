#include "pipeline/trace.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace sparsevid {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int kHostTrack = 1;
constexpr int kDeviceTrack = 2;
constexpr std::string_view kOpPrefix = "op.";

OrderedJson track_name(int track, const std::string& name) {
  return {
      {"ph", "M"}, {"pid", 1}, {"tid", track}, {"name", "thread_name"}, {"args", {{"name", name}}}};
}

/// Whole nanoseconds, which keep files of many thousand events small.
double microseconds(double seconds) { return std::round(seconds * 1e9) / 1e3; }

OrderedJson event(const Span& span, int track, double origin) {
  const bool op = span.zone.starts_with(kOpPrefix);
  std::string name = op ? span.zone.substr(kOpPrefix.size()) : span.zone;
  if (span.index >= 0) name += " " + std::to_string(span.index);
  return {{"ph", "X"},
          {"pid", 1},
          {"tid", track},
          {"name", std::move(name)},
          {"cat", op ? "op" : "zone"},
          {"ts", microseconds(span.start - origin)},
          {"dur", microseconds(span.seconds)}};
}

}  // namespace

std::string to_json(const Trace& trace) {
  double origin = std::numeric_limits<double>::infinity();
  for (const auto* spans : {&trace.on_host, &trace.on_device})
    for (const Span& span : *spans) origin = std::min(origin, span.start);
  OrderedJson events = {track_name(kHostTrack, "host"), track_name(kDeviceTrack, trace.device)};
  for (const Span& span : trace.on_host) events.push_back(event(span, kHostTrack, origin));
  for (const Span& span : trace.on_device) events.push_back(event(span, kDeviceTrack, origin));
  const OrderedJson json = {{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}};
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace sparsevid
