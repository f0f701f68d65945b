// What a checkpoint is, and what the attention methods can be told.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#pragma GCC visibility push(default)
namespace sparsevid {

/// One component of a checkpoint folder, from the headers of its files alone.
struct ComponentInfo {
  std::string name;        ///< "transformer"
  std::string class_name;  ///< "WanTransformer3DModel"
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;                             ///< as stored
  std::map<std::string, std::uint64_t> bytes_by_type;  ///< by the files' names, "F32"
  std::vector<std::string> facts;                      ///< "30 layers, 12 heads of 128"
  std::vector<std::string> problems;  ///< missing, unexpected and wrongly shaped tensors
};

/// Most memory a generation takes at the checkpoint's default size.
struct MemoryEstimate {
  std::string precision;  ///< "f32", "bf16"
  std::map<std::string, std::uint64_t> bytes_by_stage;
  std::uint64_t peak_bytes = 0;
};

struct ModelInfo {
  std::string path;
  std::string family;          ///< "Wan 2.1 text to video"
  std::string pipeline_class;  ///< "WanPipeline"
  std::string scheduler;
  int height = 0, width = 0, frames = 0, steps = 0;  ///< defaults
  double fps = 0, guidance = 0, flow_shift = 0;
  std::string attention;
  int size_multiple = 1;  ///< height and width are multiples of this
  int max_text_tokens = 0;
  std::vector<ComponentInfo> components;
  std::vector<MemoryEstimate> memory;

  /// Every component can be loaded.
  bool usable() const;
};

/// The same as JSON text.
std::string to_json(const ModelInfo& info);

struct AttentionMethodInfo {
  std::string name;     ///< "svg2"
  std::string summary;  ///< one line
};
std::vector<AttentionMethodInfo> attention_method_list();

enum class SettingKind {
  share,  ///< in [0, 1]
  count,  ///< a whole number
  on_off  ///< 0 or 1
};

/// One setting of the attention methods.
struct AttentionSettingInfo {
  std::string name;  ///< as in GenerateOptions::attention_settings, "top_p"
  SettingKind kind = SettingKind::share;
  std::string help;
};
std::vector<AttentionSettingInfo> attention_setting_list();

}  // namespace sparsevid
#pragma GCC visibility pop
