#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace sparsevid {

namespace {

/// What git leaves in the place of a large file that Git LFS has not fetched.
constexpr std::string_view kPlaceholder = "version https://git-lfs.github.com/spec/";

}  // namespace

// By way of the other constructor, so that the mapping is undone when this one throws.
MappedFile::MappedFile(const std::filesystem::path& path) : MappedFile() {
  // A pipe would keep a blocking open() waiting.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  require(descriptor >= 0, ErrorKind::bad_file, "{}: cannot be opened: {}", path.string(),
          std::strerror(errno));
  struct stat status {};
  const bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  void* memory = nullptr;
  if (regular && status.st_size > 0) {  // an empty file cannot be mapped
    size_ = static_cast<std::size_t>(status.st_size);
    memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  }
  const int error = errno;
  close(descriptor);
  require(regular, ErrorKind::bad_file, "{}: expected a file, found a folder or device",
          path.string());
  if (memory == MAP_FAILED) {
    size_ = 0;
    fail(ErrorKind::bad_file, "{}: cannot be mapped into memory: {}", path.string(),
         std::strerror(error));
  }
  data_ = static_cast<const std::byte*>(memory);
  require(
      !text().starts_with(kPlaceholder), ErrorKind::bad_file,
      "{}: found the placeholder of Git LFS instead of the file; run git lfs pull in its folder",
      path.string());
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace sparsevid
