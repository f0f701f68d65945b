#include "io/json.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "io/one_line.h"

namespace sparsevid {
namespace {

constexpr std::uintmax_t kMaxFileSize = 256U << 20U;

std::string describe(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::object:
      return "an object";
    case nlohmann::json::value_t::array:
      return fmt::format("an array of {}", value.size());
    default:
      break;
  }
  constexpr std::size_t kMaxShown = 80;
  std::string text = value.dump(-1, ' ', true);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

// "syntax error while parsing value - invalid literal; expected ..." out of nlohmann's message:
// without its prefix, and without the last token, which may be long or hold raw bytes.
std::string reason(std::string message) {
  if (const auto start = message.find("syntax error"); start != std::string::npos) {
    message = message.substr(start);
  } else if (const auto bracket = message.find("] "); bracket != std::string::npos) {
    message = message.substr(bracket + 2);
  }
  const auto token = message.find("; last read: ");
  if (token == std::string::npos) return message;
  const auto expected = message.rfind("; expected ");
  const bool keep = expected != std::string::npos && expected > token;
  return message.substr(0, token) + (keep ? message.substr(expected) : "");
}

[[noreturn]] void fail_to_parse(std::string_view text, std::string_view source, std::size_t byte,
                                const std::string& message) {
  const auto before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto line_start = before.rfind('\n');
  const auto column =
      before.size() - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1;
  fail(ErrorKind::bad_file, "{}: broken JSON at line {}, column {}: {}", source, line, column,
       reason(message));
}

}  // namespace

Json::Json(std::shared_ptr<const nlohmann::json> value, std::string where)
    : value_(std::move(value)), where_(std::move(where)) {}

Json Json::read(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  require(std::filesystem::exists(status), ErrorKind::bad_file, "{}: no such file", path.string());
  require(std::filesystem::is_regular_file(status), ErrorKind::bad_file,
          "{}: expected a JSON file, found a folder or device", path.string());
  const auto size = std::filesystem::file_size(path, error);
  require(!error && size <= kMaxFileSize, ErrorKind::bad_file,
          "{}: expected a JSON file of at most {} bytes, found {}", path.string(), kMaxFileSize,
          size);
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  require(file.good() || file.eof(), ErrorKind::bad_file, "{}: cannot be read", path.string());
  return parse(text, path.string());
}

Json Json::parse(std::string_view text, std::string_view source) {
  try {
    auto value = std::make_shared<nlohmann::json>(nlohmann::json::parse(text));
    return {std::move(value), std::string(source)};
  } catch (const nlohmann::json::parse_error& error) {
    fail_to_parse(text, source, error.byte, error.what());
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::bad_file, "{}: broken JSON: {}", source, reason(error.what()));
  }
}

const nlohmann::json* Json::find(std::string_view key) const {
  if (!value_->is_object()) return nullptr;
  const auto it = value_->find(key);
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

const nlohmann::json& Json::at(std::string_view key) const {
  require(value_->is_object(), ErrorKind::bad_file, "{}: expected an object, found {}", where_,
          describe(*value_));
  const auto it = value_->find(key);
  require(it != value_->end(), ErrorKind::bad_file, "{}: key '{}' is missing", where_, key);
  require(!it->is_null(), ErrorKind::bad_file, "{}: key '{}': expected a value, found null", where_,
          key);
  return *it;
}

bool Json::has(std::string_view key) const { return find(key) != nullptr; }

std::vector<std::string> Json::keys() const {
  std::vector<std::string> result;
  if (!value_->is_object()) return result;
  for (const auto& [key, value] : value_->items()) result.push_back(key);
  return result;
}

void Json::expect_keys(std::span<const std::string_view> known) const {
  require(value_->is_object(), ErrorKind::bad_file, "{}: expected an object, found {}", where_,
          describe(*value_));
  for (const auto& key : keys())
    require(std::find(known.begin(), known.end(), key) != known.end(), ErrorKind::bad_file,
            "{}: key '{}': expected one of {}", where_, one_line(key), fmt::join(known, ", "));
}

namespace {

using Where = std::pair<std::string_view, std::string_view>;  // document and key

[[noreturn]] void mismatch(const Where& where, const std::string& expected,
                           const nlohmann::json& found) {
  fail(ErrorKind::bad_file, "{}: key '{}': expected {}, found {}", where.first,
       one_line(where.second), expected, describe(found));
}

int to_int(const Where& where, const nlohmann::json& value, int min, int max) {
  const bool is_whole =
      value.is_number() && std::nearbyint(value.get<double>()) == value.get<double>();
  // Compared as double, which holds every int exactly and never overflows.
  if (!is_whole || value.get<double>() < min || value.get<double>() > max) {
    mismatch(where, fmt::format("a whole number in [{}, {}]", min, max), value);
  }
  return static_cast<int>(value.get<double>());
}

double to_double(const Where& where, const nlohmann::json& value, double min, double max) {
  if (!value.is_number() || !(value.get<double>() >= min && value.get<double>() <= max)) {
    mismatch(where, fmt::format("a number in [{}, {}]", min, max), value);
  }
  return value.get<double>();
}

bool to_bool(const Where& where, const nlohmann::json& value) {
  if (!value.is_boolean()) mismatch(where, "true or false", value);
  return value.get<bool>();
}

std::string to_text(const Where& where, const nlohmann::json& value) {
  if (!value.is_string()) mismatch(where, "a string", value);
  return value.get<std::string>();
}

template <typename T, typename Convert>
std::vector<T> to_list(const Where& where, const nlohmann::json& value, const char* of,
                       const Convert& convert) {
  if (!value.is_array()) mismatch(where, fmt::format("an array of {}", of), value);
  std::vector<T> result;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string key = fmt::format("{}[{}]", where.second, i);
    result.push_back(convert({where.first, key}, value[i]));
  }
  return result;
}

}  // namespace

int Json::get_int(std::string_view key, int min, int max) const {
  return to_int({where_, key}, at(key), min, max);
}
int Json::get_int(std::string_view key, int fallback, int min, int max) const {
  return has(key) ? get_int(key, min, max) : fallback;
}
double Json::get_double(std::string_view key, double min, double max) const {
  return to_double({where_, key}, at(key), min, max);
}
double Json::get_double(std::string_view key, double fallback, double min, double max) const {
  return has(key) ? get_double(key, min, max) : fallback;
}
bool Json::get_bool(std::string_view key) const { return to_bool({where_, key}, at(key)); }
bool Json::get_bool(std::string_view key, bool fallback) const {
  return has(key) ? get_bool(key) : fallback;
}
std::string Json::get_string(std::string_view key) const { return to_text({where_, key}, at(key)); }
std::string Json::get_string(std::string_view key, std::string_view fallback) const {
  return has(key) ? get_string(key) : std::string(fallback);
}

std::vector<int> Json::get_ints(std::string_view key, int min, int max) const {
  return to_list<int>(
      {where_, key}, at(key), "whole numbers",
      [&](const Where& where, const auto& value) { return to_int(where, value, min, max); });
}
std::vector<double> Json::get_doubles(std::string_view key, double min, double max) const {
  return to_list<double>(
      {where_, key}, at(key), "numbers",
      [&](const Where& where, const auto& value) { return to_double(where, value, min, max); });
}
std::vector<bool> Json::get_bools(std::string_view key) const {
  return to_list<bool>({where_, key}, at(key), "true or false", to_bool);
}
std::vector<std::string> Json::get_strings(std::string_view key) const {
  return to_list<std::string>({where_, key}, at(key), "strings", to_text);
}

Json Json::object(std::string_view key) const {
  const auto& value = at(key);
  if (!value.is_object()) mismatch({where_, key}, "an object", value);
  // Shares ownership of the whole document while pointing at a part of it.
  return {std::shared_ptr<const nlohmann::json>(value_, &value),
          fmt::format("{}: {}", where_, key)};
}

}  // namespace sparsevid
