#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"

namespace sparsevid {
namespace {

const char* stored_name(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "F64";
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::i64:
      return "I64";
    case DType::i32:
      return "I32";
    case DType::u8:
      return "U8";
  }
  return "?";
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, TensorView>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  // Wide types first, so that every tensor is aligned.
  auto sorted = tensors;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return size_of(a.second.dtype()) > size_of(b.second.dtype());
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  std::vector<std::string_view> parts(2);
  for (const auto& [name, view] : sorted) {
    require(view.contiguous(), ErrorKind::internal, "{}: tensor '{}' is not contiguous",
            path.string(), name);
    require(!header.contains(name) && name != "__metadata__", ErrorKind::internal,
            "{}: tensor '{}' is given twice or reserved", path.string(), name);
    const std::uint64_t end = offset + view.bytes();
    header[name] = {{"dtype", stored_name(view.dtype())},
                    {"shape", std::vector<std::int64_t>(view.shape().begin(), view.shape().end())},
                    {"data_offsets", {offset, end}}};
    offset = end;
    parts.emplace_back(static_cast<const char*>(view.data()), view.bytes());
  }
  // Text of the caller (a prompt) may hold broken UTF-8, which must not keep latents from disk.
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t size = text.size();
  parts[0] = {reinterpret_cast<const char*>(&size), sizeof size};
  parts[1] = text;
  write_file(path, parts);
}

}  // namespace sparsevid
