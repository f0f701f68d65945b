#include "flags.h"

#include <charconv>
#include <cmath>
#include <sstream>

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

CLI::Option* describe(CLI::Option* option, const std::string& group, const std::string& type,
                      const std::string& shown_default) {
  return option->group(group)->type_name(type)->default_str(shown_default);
}

}  // namespace sparsevid::cli
