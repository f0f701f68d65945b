// A diffusers pipeline folder: model_index.json and one subfolder per component.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "io/json.h"

namespace sparsevid {

class ModelFolder {
 public:
  /// Throws Error(bad_file) when the folder is missing or empty, or holds no usable
  /// model_index.json.
  explicit ModelFolder(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// `_class_name` of model_index.json, e.g. "WanPipeline".
  const std::string& pipeline_class() const { return pipeline_class_; }
  /// Component name -> class name ("transformer" -> "WanTransformer3DModel"); those that are null
  /// in the index are left out.
  const std::map<std::string, std::string, std::less<>>& components() const { return components_; }
  bool has(std::string_view component) const { return components_.count(component) != 0; }
  /// The subfolder of a component. Throws when the index does not name it or the folder is missing.
  std::filesystem::path component(std::string_view name) const;
  /// Its config: config.json, for a scheduler scheduler_config.json, for a tokenizer
  /// tokenizer_config.json.
  Json config(std::string_view component) const;
  /// Whether a file of that name is one of the checkpoint's, or would be taken for one.
  bool claims(const std::filesystem::path& file) const;
  /// model_index.json itself (pipeline-level settings such as boundary_ratio).
  const Json& index() const { return index_; }
  /// sparsevid.json, our own recommendations for this checkpoint, when there is one.
  const std::optional<Json>& defaults() const { return defaults_; }

 private:
  std::filesystem::path path_;
  Json index_;
  std::string pipeline_class_;
  std::map<std::string, std::string, std::less<>> components_;
  std::optional<Json> defaults_;
};

}  // namespace sparsevid
