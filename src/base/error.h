// Throwing sparsevid::Error with a formatted message.
#pragma once

#include <fmt/format.h>

#include <utility>

#include "sparsevid/error.h"

namespace sparsevid {

/// Throws Error(kind) with a message in fmt syntax.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// fail(kind, ...) unless `condition` holds.
template <typename... Args>
void require(bool condition, ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(kind, format, std::forward<Args>(args)...);
}

}  // namespace sparsevid
