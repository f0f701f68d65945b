// The ordered implementations of one op: the first that does not refuse runs, and the log says why.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "core/context.h"

namespace sparsevid::ops {

template <typename Params>
struct Implementation {
  std::string_view name;  ///< e.g. "onednn", "avx512", "ref"
  /// Why it cannot run these parameters here; empty when it can.
  std::string (*refusal)(const Params&, const Context&);
  void (*run)(const Params&, Context&);
  Device device = Device::cpu;
};

template <typename Params>
class ImplementationList {
 public:
  ImplementationList(std::string_view op, std::vector<Implementation<Params>> entries)
      : op_(op), entries_(std::move(entries)) {}

  std::string_view op() const { return op_; }
  const std::vector<Implementation<Params>>& entries() const { return entries_; }

  /// Runs the first willing entry. SPARSEVID_FORCE=op:name (comma separated) insists on one.
  void run(const Params& params, Context& context) const {
    const std::string_view forced = forced_name();
    std::string reasons;
    for (const auto& entry : entries_) {
      if (!forced.empty() && forced != entry.name) continue;
      const std::string reason = context.device == Device::cuda && entry.device == Device::cpu
                                     ? "it computes on the CPU"
                                     : entry.refusal(params, context);
      if (reason.empty()) {
        if (log_enabled(LogCategory::dispatch))
          log(LogCategory::dispatch, "{}: {}{}", op_, entry.name, reasons);
        const std::string zone_name = fmt::format("op.{}.{}", op_, entry.name);
        const Zone zone(context.profile, zone_name);
        entry.run(params, context);
        return;
      }
      reasons += fmt::format("; not {}: {}", entry.name, reason);
    }
    fail(ErrorKind::internal, "{}: no implementation can run{}", op_, reasons);
  }

 private:
  std::string_view forced_name() const {
    const char* value = std::getenv("SPARSEVID_FORCE");
    std::string_view rest = value == nullptr ? "" : value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      const auto item = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
      const auto colon = item.find(':');
      if (colon != std::string_view::npos && item.substr(0, colon) == op_)
        return item.substr(colon + 1);
    }
    return {};
  }

  std::string_view op_;
  std::vector<Implementation<Params>> entries_;
};

/// The refusal of an implementation that runs everything.
template <typename Params>
std::string never_refuses(const Params&, const Context&) {
  return {};
}

}  // namespace sparsevid::ops
