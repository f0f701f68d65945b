#include "flags.h"

#include <charconv>
#include <cmath>
#include <sstream>
#include <string_view>

namespace sparsevid::cli {
namespace {

std::string expected(const std::string& what, const std::string& found) {
  return "expected " + what + ", found '" + found + "'";
}

std::string text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

template <typename T>
std::optional<T> parse(const std::string& word) {
  T value{};
  const char* end = word.data() + word.size();
  const auto result = std::from_chars(word.data(), end, value);
  if (word.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

CLI::Validator unnamed(std::function<std::string(std::string&)> check) {
  CLI::Validator validator(std::move(check), "");
  return validator;
}

}  // namespace

CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  return unnamed([=](std::string& word) {
    const auto value = parse<std::int64_t>(word);
    if (value && *value >= low && *value <= high) return std::string();
    return expected("a whole number from " + std::to_string(low) + " to " + std::to_string(high),
                    word);
  });
}

CLI::Validator number(double low, double high) {
  return unnamed([=](std::string& word) {
    const auto value = parse<double>(word);
    if (value && std::isfinite(*value) && *value >= low && *value <= high) return std::string();
    return expected("a number from " + text(low) + " to " + text(high), word);
  });
}

CLI::Validator one_of(const std::string& words) {
  return unnamed([=](std::string& word) {
    std::istringstream list(words);
    std::string one;
    std::string shown;
    while (std::getline(list, one, '|')) {
      if (one == word) return std::string();
      shown += (shown.empty() ? "" : ", ") + one;
    }
    return expected("one of " + shown, word);
  });
}

namespace {

/// "24", "7.5G", "24GiB", "800M"; bare numbers are GiB.
std::optional<std::uint64_t> parse_memory_size(const std::string& word) {
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t end = word.find_first_not_of("0123456789.");
  const auto value = parse<double>(word.substr(0, end));
  if (!value || !std::isfinite(*value) || *value <= 0) return std::nullopt;
  int power = 3;
  if (end != std::string::npos) {
    std::string unit = word.substr(end);
    for (const std::string_view suffix : {"iB", "B"})
      if (unit.size() > 1 && unit.ends_with(suffix)) {
        unit.resize(unit.size() - suffix.size());
        break;
      }
    const auto found = unit.size() == 1 ? kUnits.find(unit) : std::string_view::npos;
    if (found == std::string_view::npos) return std::nullopt;
    power = static_cast<int>(found) + 1;
  }
  const double bytes = std::ldexp(*value, 10 * power);
  if (bytes < 1 || bytes > 0x1p60) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace

CLI::Validator memory_size() {
  return unnamed([](std::string& word) {
    if (parse_memory_size(word)) return std::string();
    return expected("an amount of memory in GiB, or with K, M, G or T", word);
  });
}

std::uint64_t bytes_of(const std::string& checked_size) {
  return parse_memory_size(checked_size).value_or(0);
}

CLI::Option* describe(CLI::Option* option, const std::string& group, const std::string& type,
                      const std::string& shown_default) {
  return option->group(group)->type_name(type)->default_str(shown_default);
}

}  // namespace sparsevid::cli
