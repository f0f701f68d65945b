// A whole file as read-only memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace sparsevid {

/// Maps a file; pages are read when touched. Movable, not copyable.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws Error(bad_file) when the path is missing, not a regular file, or not readable.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sparsevid
