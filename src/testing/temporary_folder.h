// A folder that lives as long as a test, and small files written into it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sparsevid {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  /// Writes a file with exactly these bytes, and the folders it needs; returns its path.
  std::filesystem::path write(std::string_view name, std::string_view bytes) const;

 private:
  std::filesystem::path path_;
};

std::string read_bytes(const std::filesystem::path& path);

/// Cuts a file to its first `size` bytes.
void truncate_file(const std::filesystem::path& path, std::uintmax_t size);

/// A safetensors file as bytes: the length of `header`, the header, `data_size` zero bytes.
std::string safetensors_bytes(std::string_view header, std::size_t data_size);

}  // namespace sparsevid
