// Refusing scheduler settings that are not supported.
#pragma once

#include <string_view>

#include "base/error.h"
#include "io/json.h"

namespace sparsevid {

/// Throws Error(bad_file) unless the key holds `expected`; `fallback` is what its absence means.
inline void expect_flag(const Json& config, std::string_view key, bool fallback, bool expected) {
  require(config.get_bool(key, fallback) == expected, ErrorKind::bad_file,
          "{}: key '{}': only {} is supported, found {}", config.where(), key, expected, !expected);
}

inline void expect_text(const Json& config, std::string_view key, std::string_view fallback,
                        std::string_view expected) {
  const auto found = config.get_string(key, fallback);
  require(found == expected, ErrorKind::bad_file,
          "{}: key '{}': only '{}' is supported, found '{}'", config.where(), key, expected, found);
}

inline void expect_absent(const Json& config, std::string_view key) {
  require(!config.has(key), ErrorKind::bad_file, "{}: key '{}': only null is supported",
          config.where(), key);
}

}  // namespace sparsevid
