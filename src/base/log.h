// Diagnostic lines by category, silent unless asked for (--log dispatch,memory,time or
// SPARSEVID_LOG).
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace sparsevid {

enum class LogCategory { dispatch, memory, time };

/// Turns on the categories of a comma-separated list ("dispatch,memory,time" or "all").
/// Throws Error(bad_input) on an unknown name.
void enable_log(std::string_view categories);
bool log_enabled(LogCategory category);
/// Writes one line to stderr.
void write_log(LogCategory category, std::string_view line);
/// A warning the user should see, whatever the categories; `set_warning_sink` lets a caller catch
/// it.
void warn(std::string_view line);
using WarningSink = void (*)(void* user, std::string_view line);
void set_warning_sink(WarningSink sink, void* user);

template <typename... Args>
void log(LogCategory category, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(category)) write_log(category, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sparsevid
