// JSON files whose values are read with their type and range checked.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sparsevid {

/// A value inside a JSON document, usually an object. Cheap to copy: all share the document.
/// Every failure is Error(bad_file) with one line that names the file, the key, what was expected
/// and what was found. A key whose value is null counts as absent.
class Json {
 public:
  /// Throws when the file is missing, not UTF-8, or broken (with line and column).
  static Json read(const std::filesystem::path& path);
  /// The same for text already in memory; `source` stands for the file in messages.
  static Json parse(std::string_view text, std::string_view source);

  bool has(std::string_view key) const;
  /// The keys of this object, sorted; of any other value: none.
  std::vector<std::string> keys() const;
  /// Throws unless this is an object that has no keys but these.
  void expect_keys(std::span<const std::string_view> known) const;

  /// Whole numbers in [min, max]; 3.0 counts as whole, 3.5 and true do not.
  int get_int(std::string_view key, int min, int max) const;
  int get_int(std::string_view key, int fallback, int min, int max) const;
  /// Finite numbers in [min, max].
  double get_double(std::string_view key, double min, double max) const;
  double get_double(std::string_view key, double fallback, double min, double max) const;
  bool get_bool(std::string_view key) const;
  bool get_bool(std::string_view key, bool fallback) const;
  std::string get_string(std::string_view key) const;
  std::string get_string(std::string_view key, std::string_view fallback) const;

  std::vector<int> get_ints(std::string_view key, int min, int max) const;
  std::vector<double> get_doubles(std::string_view key, double min, double max) const;
  std::vector<bool> get_bools(std::string_view key) const;
  std::vector<std::string> get_strings(std::string_view key) const;

  /// The object under `key`.
  Json object(std::string_view key) const;

  /// The file and, for an inner object, the path of keys to it.
  const std::string& where() const { return where_; }
  /// For code that needs more than the getters; include nlohmann/json.hpp there.
  const nlohmann::json& raw() const { return *value_; }

 private:
  Json(std::shared_ptr<const nlohmann::json> value, std::string where);
  const nlohmann::json* find(std::string_view key) const;
  const nlohmann::json& at(std::string_view key) const;

  std::shared_ptr<const nlohmann::json> value_;
  std::string where_;
};

}  // namespace sparsevid
