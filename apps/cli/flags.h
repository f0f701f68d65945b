// Flags whose values are checked with one clear line: name, what is expected, what was found.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace sparsevid::cli {

/// Accepts whole numbers from `low` to `high`.
CLI::Validator whole_number(std::int64_t low, std::int64_t high);
/// Accepts finite numbers from `low` to `high`.
CLI::Validator number(double low, double high);
/// Accepts the words in the list, separated by "|".
CLI::Validator one_of(const std::string& words);
/// Accepts amounts of memory: "24", which are GiB, "7.5G", "800M".
CLI::Validator memory_size();
/// Bytes of an amount that memory_size() has accepted.
std::uint64_t bytes_of(const std::string& checked_size);

/// A flag of the group with a shown default ("480", "the model's").
CLI::Option* describe(CLI::Option* option, const std::string& group, const std::string& type,
                      const std::string& shown_default);

}  // namespace sparsevid::cli
