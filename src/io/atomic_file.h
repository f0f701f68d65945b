// Output files that appear whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace sparsevid {

/// `path` without a slash at its end.
std::filesystem::path without_trailing_slash(const std::filesystem::path& path);

/// The absolute path behind all links, of as much as there is; so two names of one file are equal.
std::filesystem::path whole_path(const std::filesystem::path& path);

/// Throws Error(bad_input) unless `path` can be written: its folder exists, is a folder and is
/// writable, and `path` is a file that may be replaced or nothing yet. Links are followed. Call it
/// before long work.
void check_output_path(const std::filesystem::path& path);

/// Bytes an ordinary user may still write in the file system of `path` (or of its folder).
std::uint64_t free_disk_space(const std::filesystem::path& path);

/// A name beside the target to write to; commit() renames it onto the target, and without a commit
/// the destructor removes it.
class AtomicFile {
 public:
  /// Checks the target as check_output_path does; creates nothing yet. The temporary name keeps the
  /// extension, by which encoders choose their format: "clip.partial-1234.mp4".
  explicit AtomicFile(const std::filesystem::path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Where to write the file or create the folder.
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Behind all links.
  const std::filesystem::path& target() const { return target_; }
  /// Throws Error(io) when renaming fails; the target is then as it was.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// Writes the parts one after the other through an AtomicFile. Throws Error(io) when there is no
/// space or writing fails, Error(bad_input) for an impossible path.
void write_file(const std::filesystem::path& path, const std::vector<std::string_view>& parts);

}  // namespace sparsevid
