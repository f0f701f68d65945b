// The ordered implementations of one op: the first that does not refuse runs, and the log says why.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "core/context.h"
#include "ops/forced_implementations.h"

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

  std::vector<std::string_view> names() const {
    std::vector<std::string_view> names;
    for (const auto& entry : entries_) names.push_back(entry.name);
    return names;
  }

  /// Runs the first willing entry; SPARSEVID_FORCE insists on one.
  void run(const Params& params, Context& context) const {
    const std::string_view forced = forced_implementation(op_);
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
    require(forced.empty(), ErrorKind::bad_input, "SPARSEVID_FORCE: {}:{} cannot run{}", op_,
            forced, reasons);
    fail(ErrorKind::internal, "{}: no implementation can run{}", op_, reasons);
  }

 private:
  std::string_view op_;
  std::vector<Implementation<Params>> entries_;
};

/// The refusal of an implementation that runs everything.
template <typename Params>
std::string never_refuses(const Params&, const Context&) {
  return {};
}

}  // namespace sparsevid::ops
