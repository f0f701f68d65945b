#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
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

/// Where links lead: a file renamed onto a link would take its place.
fs::path behind_links(fs::path path) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(path, error); ++i)
    path = path.parent_path() / fs::read_symlink(path, error);
  return path;
}

fs::path temporary_for(const fs::path& target) {
  fs::path name = target;
  return name.replace_filename(fmt::format("{}.partial-{}{}", target.stem().string(), getpid(),
                                           target.extension().string()));
}

void check_name(const fs::path& shown, const fs::path& target) {
  const auto length = [](const fs::path& path) {
    return static_cast<long>(path.filename().native().size());
  };
  const long most = pathconf(folder_of(target).c_str(), _PC_NAME_MAX);
  const long added = length(temporary_for(target)) - length(target);
  require(most < 0 || length(target) + added <= most, ErrorKind::bad_input,
          "{}: expected a name of at most {} bytes, found {}", shown.string(), most - added,
          length(target));
}

/// In a folder such as /tmp nobody may replace the file of another user.
void check_owner(const fs::path& shown, const fs::path& target) {
  struct stat folder {};
  struct stat file {};
  const uid_t user = geteuid();
  if (user == 0 || stat(folder_of(target).c_str(), &folder) != 0 ||
      stat(target.c_str(), &file) != 0)
    return;
  require((folder.st_mode & S_ISVTX) == 0 || user == folder.st_uid || user == file.st_uid,
          ErrorKind::bad_input, "{}: cannot be replaced, it belongs to another user",
          shown.string());
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

fs::path whole_path(const fs::path& path) {
  std::error_code unknown;
  const fs::path absolute = without_trailing_slash(fs::absolute(path, unknown));
  const fs::path whole = fs::weakly_canonical(absolute, unknown);
  return unknown ? absolute : whole;
}

void check_output_path(const fs::path& path) {
  const auto target = behind_links(without_trailing_slash(path));
  require(!target.empty(), ErrorKind::bad_input, "output: expected a path, found nothing");
  std::error_code unknown;
  const auto found = fs::status(path, unknown).type();
  require(found == fs::file_type::regular || found == fs::file_type::directory ||
              found == fs::file_type::not_found || found == fs::file_type::none,
          ErrorKind::bad_input, "{}: expected a file, found a device, pipe or socket",
          path.string());
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
  require(path.has_filename() && found != fs::file_type::directory, ErrorKind::bad_input,
          "{}: expected the name of a file, found a folder", path.string());
  require(found != fs::file_type::none, ErrorKind::bad_input, "{}: cannot be looked at: {}",
          path.string(), unknown.message());
  check_name(path, target);
  check_owner(path, target);
}

std::uint64_t free_disk_space(const fs::path& path) {
  std::error_code error;
  auto info = fs::space(path, error);
  if (error) info = fs::space(folder_of(behind_links(without_trailing_slash(path))), error);
  require(!error, ErrorKind::io, "{}: cannot find out the free space: {}", path.string(),
          error.message());
  return info.available;
}

AtomicFile::AtomicFile(const fs::path& target)
    : target_(behind_links(target)), temporary_(temporary_for(target_)) {
  check_output_path(target);
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
