#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "base/error.h"

namespace sparsevid {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"dispatch", "memory", "time"};
std::atomic<unsigned> enabled_mask{0};

struct Sink {
  std::mutex mutex;
  WarningSink sink = nullptr;
  void* user = nullptr;
};

Sink& warning_sink() {
  static Sink sink;
  return sink;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>(
        "sparsevid", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%v");
    return made;
  }();
  return *instance;
}

/// `source` is what a message names: the flag or the variable.
void enable(std::string_view categories, std::string_view source) {
  while (!categories.empty()) {
    const auto comma = categories.find(',');
    const auto name = categories.substr(0, comma);
    categories = comma == std::string_view::npos ? "" : categories.substr(comma + 1);
    bool known = name.empty();
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (name == kNames[i] || name == "all") {
        enabled_mask |= 1U << i;
        known = true;
      }
    }
    require(known, ErrorKind::bad_input, "{}: expected dispatch, memory, time or all, found '{}'",
            source, name);
  }
}

void enable_from_environment() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (const char* value = std::getenv("SPARSEVID_LOG")) enable(value, "SPARSEVID_LOG");
  });
}

}  // namespace

void enable_log(std::string_view categories) { enable(categories, "--log"); }

bool log_enabled(LogCategory category) {
  enable_from_environment();
  return (enabled_mask.load(std::memory_order_relaxed) >> static_cast<unsigned>(category) & 1U) !=
         0;
}

void write_log(LogCategory category, std::string_view line) {
  logger().info("[{}] {}", kNames[static_cast<std::size_t>(category)], line);
}

void set_warning_sink(WarningSink sink, void* user) {
  auto& target = warning_sink();
  const std::lock_guard lock(target.mutex);
  target.sink = sink;
  target.user = user;
}

void warn(std::string_view line) {
  auto& target = warning_sink();
  const std::lock_guard lock(target.mutex);
  if (target.sink != nullptr) {
    target.sink(target.user, line);
  } else {
    logger().warn("warning: {}", line);
  }
}

}  // namespace sparsevid
