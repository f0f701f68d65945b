// The safetensors format: named tensors in one memory-mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "io/mapped_file.h"

namespace sparsevid {

/// An open file. The views it hands out stay valid as long as it lives and must only be read.
/// Everything the header claims is checked on opening; any contradiction is Error(bad_file).
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  /// The same for bytes that stay in the caller's memory; `source` stands for the file in messages.
  SafetensorsFile(const std::byte* data, std::size_t size, std::string_view source);

  const std::string& source() const { return source_; }
  /// Sorted.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const;
  /// Null when there is no such tensor. Throws when its type is one the format knows and we do not
  /// (F8_E4M3, BOOL, ...).
  const TensorView* find(std::string_view name) const;
  /// Like find, but a missing tensor is an Error that names the file.
  const TensorView& get(std::string_view name) const;
  /// The type as the file spells it ("BF16"); empty when there is no such tensor.
  std::string_view dtype_name(std::string_view name) const;
  /// Bytes of one tensor as stored; 0 when there is no such tensor.
  std::uint64_t bytes_of(std::string_view name) const;
  /// Bytes of all tensors.
  std::uint64_t total_bytes() const { return total_bytes_; }
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }

 private:
  struct Entry {
    TensorView view;  // undefined when the type is not supported
    std::string dtype_name;
    std::uint64_t bytes = 0;
  };
  void parse(const std::byte* data, std::size_t size);
  void read_metadata(const nlohmann::json& value);
  void align_tensors();

  std::string source_;
  MappedFile file_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string, std::less<>> metadata_;
  std::vector<Tensor> aligned_copies_;  // tensors the file stores at an address their type forbids
  std::uint64_t total_bytes_ = 0;
};

/// Writes contiguous tensors beside `path` and renames; on any failure (Error(io): no space, no
/// permission) nothing is left behind and an existing file stays as it was.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, TensorView>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sparsevid
