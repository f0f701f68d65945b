#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace sparsevid {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& path) {
  const auto folder = path.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

class Descriptor {
 public:
  explicit Descriptor(const fs::path& path)
      : path_(path), value_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    require(value_ >= 0, ErrorKind::io, "{}: cannot be created: {}", path.string(),
            std::strerror(errno));
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto written = ::write(value_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      require(written > 0, ErrorKind::io, "{}: writing failed: {}", path_.string(),
              std::strerror(errno));
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void close() {
    // Network file systems report a full disk only here.
    require(::close(std::exchange(value_, -1)) == 0, ErrorKind::io, "{}: writing failed: {}",
            path_.string(), std::strerror(errno));
  }

 private:
  const fs::path& path_;
  int value_;
};

}  // namespace

fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

void check_output_path(const fs::path& path) {
  const auto target = without_trailing_slash(path);
  require(!target.empty(), ErrorKind::bad_input, "output: expected a path, found nothing");
  const auto folder = folder_of(target);
  std::error_code error;
  const auto status = fs::status(folder, error);
  require(status.type() != fs::file_type::not_found, ErrorKind::bad_input,
          "{}: the output folder {} does not exist", path.string(), folder.string());
  require(status.type() != fs::file_type::none, ErrorKind::bad_input,
          "{}: the output folder {} cannot be looked at: {}", path.string(), folder.string(),
          error.message());
  require(fs::is_directory(status), ErrorKind::bad_input,
          "{}: expected {} to be a folder, found a file", path.string(), folder.string());
  require(access(folder.c_str(), W_OK | X_OK) == 0, ErrorKind::bad_input,
          "{}: the output folder {} is not writable", path.string(), folder.string());
  require(path.has_filename() && !fs::is_directory(target, error), ErrorKind::bad_input,
          "{}: expected the name of a file, found a folder", path.string());
}

std::uint64_t free_disk_space(const fs::path& path) {
  std::error_code error;
  auto info = fs::space(path, error);
  if (error) info = fs::space(folder_of(without_trailing_slash(path)), error);
  require(!error, ErrorKind::io, "{}: cannot find out the free space: {}", path.string(),
          error.message());
  return info.available;
}

AtomicFile::AtomicFile(const fs::path& target) : target_(target) {
  check_output_path(target);
  temporary_ = target_;
  temporary_.replace_filename(fmt::format("{}.partial-{}{}", target_.stem().string(), getpid(),
                                          target_.extension().string()));
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicFile::commit() {
  std::error_code error;
  fs::rename(temporary_, target_, error);
  require(!error, ErrorKind::io, "{}: cannot be renamed to {}: {}", temporary_.string(),
          target_.string(), error.message());
  committed_ = true;
}

void write_file(const fs::path& path, const std::vector<std::string_view>& parts) {
  AtomicFile file(path);
  std::uint64_t size = 0;
  for (const auto& part : parts) size += part.size();
  const auto available = free_disk_space(path);
  require(size <= available, ErrorKind::io,
          "{}: {} bytes to write, but only {} are free on the disk", path.string(), size,
          available);
  Descriptor output(file.temporary());
  for (const auto& part : parts) output.write(part);
  output.close();
  file.commit();
}

}  // namespace sparsevid
