// The weights of one component folder: one safetensors file, or shards with an index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "io/safetensors.h"

namespace sparsevid {

/// Opens `<stem>.safetensors`, or `<stem>.safetensors.index.json` with its shards, with the stem
/// `diffusion_pytorch_model` (diffusers) or `model` (transformers). A variant such as
/// `<stem>.fp16.safetensors` is taken when nothing else is there and it is the only one.
/// Throws Error(bad_file) for a missing or empty folder, missing shards, and an index that does not
/// agree with its shards, listing everything that is wrong.
class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& folder);

  /// Null when there is no such tensor; views are read-only and live as long as this object. Throws
  /// Error(bad_file) for a type we do not read, as SafetensorsFile::find does.
  const TensorView* find(std::string_view name) const;
  /// Sorted.
  const std::vector<std::string>& names() const { return names_; }
  /// The file that holds a tensor; the folder when none does. For error messages.
  std::string file_of(std::string_view name) const;
  /// Bytes of all tensors as stored.
  std::uint64_t total_bytes() const;
  /// Bytes by type as the files spell it ("F32", "BF16").
  std::map<std::string, std::uint64_t> bytes_by_dtype() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const SafetensorsFile*, std::less<>> holder_;
  std::vector<std::string> names_;
};

}  // namespace sparsevid
