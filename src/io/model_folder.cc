#include "io/model_folder.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "io/atomic_file.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;

constexpr auto* kIndexName = "model_index.json";
constexpr auto* kDefaultsName = "sparsevid.json";
constexpr std::array<const char*, 4> kConfigNames = {
    "config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json"};

/// Weights as other programs keep them, which no diffusers folder has at its top.
bool is_another_layout(const fs::path& folder) {
  constexpr std::array<std::string_view, 5> kEndings = {".pth", ".pt", ".ckpt", ".gguf",
                                                        ".safetensors"};
  std::error_code error;
  const bool component = fs::exists(folder / "config.json", error);
  const fs::directory_iterator entries(folder, error);
  return std::any_of(begin(entries), end(entries), [&](const fs::directory_entry& entry) {
    const std::string ending = entry.path().extension().string();
    return !(component && ending == ".safetensors") &&
           std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
  });
}

/// What a folder without an index seems to be, to be added to the message.
const char* other_kind(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder / "snapshots", error))
    return ", found a download cache; give a folder in its snapshots/";
  if (is_another_layout(folder))
    return ", found weights in another layout; what is needed is the checkpoint for diffusers, "
           "which is published under a name that ends in -Diffusers";
  if (fs::exists(folder / "config.json", error))
    return ", found a single component; give the folder above it";
  return "";
}

Json read_index(const fs::path& path) {
  std::error_code error;
  require(!path.empty(), ErrorKind::bad_file, "expected a model folder, found an empty path");
  require(fs::exists(path, error), ErrorKind::bad_file, "{}: no such model folder", path.string());
  require(fs::is_directory(path, error), ErrorKind::bad_file,
          "{}: expected a model folder as diffusers saves it, found a file", path.string());
  require(!fs::is_empty(path, error) && !error, ErrorKind::bad_file,
          "{}: the model folder is empty or cannot be listed", path.string());
  require(fs::exists(path / kIndexName, error), ErrorKind::bad_file,
          "{}: expected a diffusers pipeline folder with model_index.json{}", path.string(),
          other_kind(path));
  return Json::read(path / kIndexName);
}

bool is_within(const fs::path& folder, const fs::path& path) {
  const fs::path below = path.lexically_relative(folder);
  return !below.empty() && *below.begin() != "..";
}

}  // namespace

ModelFolder::ModelFolder(const fs::path& path)
    : path_(path), index_(read_index(path)), pipeline_class_(index_.get_string("_class_name")) {
  for (const auto& key : index_.keys()) {
    const auto& value = index_.raw().at(key);
    if (!value.is_array()) continue;  // a setting of the pipeline itself
    const bool is_pair = value.size() == 2;
    // [null, null]: a component this checkpoint does without.
    if (is_pair && value[1].is_null()) continue;
    require(is_pair && value[1].is_string(), ErrorKind::bad_file,
            "{}: component '{}': expected [library, class]", index_.where(), key);
    components_.emplace(key, value[1].get<std::string>());
  }
  std::error_code error;
  if (fs::exists(path / kDefaultsName, error)) defaults_ = Json::read(path / kDefaultsName);
}

fs::path ModelFolder::component(std::string_view name) const {
  require(has(name), ErrorKind::bad_file, "{}: names no component '{}'", index_.where(), name);
  auto folder = path_ / name;
  std::error_code error;
  require(fs::is_directory(folder, error), ErrorKind::bad_file,
          "{}: the folder of component '{}' is missing", folder.string(), name);
  require(!fs::is_empty(folder, error), ErrorKind::bad_file,
          "{}: the folder of component '{}' is empty", folder.string(), name);
  require(!error, ErrorKind::bad_file, "{}: cannot be listed: {}", folder.string(),
          error.message());
  return folder;
}

Json ModelFolder::config(std::string_view name) const {
  const auto folder = component(name);
  std::error_code error;
  for (const auto* file : kConfigNames) {
    if (fs::exists(folder / file, error)) return Json::read(folder / file);
    require(!error, ErrorKind::bad_file, "{}: cannot be looked at: {}", (folder / file).string(),
            error.message());
  }
  fail(ErrorKind::bad_file, "{}: expected one of {}", folder.string(),
       fmt::join(kConfigNames, ", "));
}

bool ModelFolder::claims(const fs::path& file) const {
  std::error_code unknown;
  const fs::path whole = whole_path(file);
  const auto is = [&](const fs::path& own) {
    return whole_path(own) == whole || fs::equivalent(own, file, unknown);
  };
  if (is(path_ / kIndexName) || is(path_ / kDefaultsName)) return true;
  return std::any_of(components_.begin(), components_.end(), [&](const auto& component) {
    const fs::path folder = path_ / component.first;
    if (is_within(whole_path(folder), whole)) return true;
    // In a download cache the files are links to elsewhere.
    const fs::directory_iterator entries(folder, unknown);
    return std::any_of(begin(entries), end(entries),
                       [&](const fs::directory_entry& entry) { return is(entry.path()); });
  });
}

}  // namespace sparsevid
