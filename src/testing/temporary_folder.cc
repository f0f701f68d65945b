#include "testing/temporary_folder.h"

#include <stdlib.h>  // mkdtemp

#include <cstring>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace sparsevid {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "sparsevid-XXXXXX").string();
  require(mkdtemp(name.data()) != nullptr, ErrorKind::io, "cannot create a folder like {}", name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryFolder::write(std::string_view name, std::string_view bytes) const {
  auto path = path_ / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  require(file.flush().good(), ErrorKind::io, "cannot write {}", path.string());
  return path;
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  require(file.good(), ErrorKind::io, "cannot read {}", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void truncate_file(const std::filesystem::path& path, std::uintmax_t size) {
  std::filesystem::resize_file(path, size);
}

std::string safetensors_bytes(std::string_view header, std::size_t data_size) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(header).append(data_size, '\0');
}

}  // namespace sparsevid
