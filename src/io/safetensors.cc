#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "io/json.h"
#include "io/one_line.h"

namespace sparsevid {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the official reader's limit

struct StoredType {
  std::string_view name;
  std::uint64_t size;
  std::optional<DType> dtype;  // none: known to the format, not to us
};

constexpr std::array<StoredType, 17> kStoredTypes = {{
    {"F64", 8, DType::f64},
    {"F32", 4, DType::f32},
    {"F16", 2, DType::f16},
    {"BF16", 2, DType::bf16},
    {"I64", 8, DType::i64},
    {"I32", 4, DType::i32},
    {"U8", 1, DType::u8},
    {"BOOL", 1, {}},
    {"I8", 1, {}},
    {"I16", 2, {}},
    {"U16", 2, {}},
    {"U32", 4, {}},
    {"U64", 8, {}},
    {"C64", 8, {}},
    {"F8_E4M3", 1, {}},
    {"F8_E5M2", 1, {}},
    {"F8_E8M0", 1, {}},
}};

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
  std::string_view name;
};

struct Header {
  std::string_view source;
  std::uint64_t data_size;

  template <typename... Args>
  [[noreturn]] void fail(std::string_view tensor, fmt::format_string<Args...> format,
                         Args&&... args) const {
    sparsevid::fail(ErrorKind::bad_file, "{}: tensor '{}': {}", source, one_line(tensor),
                    fmt::format(format, std::forward<Args>(args)...));
  }

  const StoredType& type(std::string_view tensor, const nlohmann::json& entry) const {
    const auto it = entry.find("dtype");
    if (it == entry.end() || !it->is_string()) fail(tensor, "expected a string 'dtype'");
    const auto& name = it->get_ref<const std::string&>();
    for (const auto& known : kStoredTypes) {
      if (known.name == name) return known;
    }
    fail(tensor, "unknown dtype {}", it->dump(-1, ' ', true));
  }

  Shape shape(std::string_view tensor, const nlohmann::json& entry) const {
    const auto it = entry.find("shape");
    if (it == entry.end() || !it->is_array()) fail(tensor, "expected an array 'shape'");
    if (it->size() > Shape::kMaxRank) {
      fail(tensor, "expected at most {} axes, found {}", Shape::kMaxRank + 0, it->size());
    }
    Shape shape;
    for (const auto& extent : *it) {
      // A signed number is negative here: nlohmann keeps the others as unsigned.
      if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > INT64_MAX) {
        fail(tensor, "expected a shape of whole numbers >= 0, found {}", it->dump(-1, ' ', true));
      }
      shape.push_back(extent.get<std::int64_t>());
    }
    return shape;
  }

  Range range(std::string_view tensor, const nlohmann::json& entry) const {
    const auto it = entry.find("data_offsets");
    if (it == entry.end() || !it->is_array() || it->size() != 2 || !(*it)[0].is_number_unsigned() ||
        !(*it)[1].is_number_unsigned()) {
      fail(tensor, "expected 'data_offsets' of two whole numbers >= 0");
    }
    const Range range{(*it)[0].get<std::uint64_t>(), (*it)[1].get<std::uint64_t>(), tensor};
    if (range.begin > range.end || range.end > data_size) {
      fail(tensor, "bytes [{}, {}) lie outside the file's {} bytes of data", range.begin, range.end,
           data_size);
    }
    return range;
  }

  void check_size(std::string_view tensor, const Shape& shape, const StoredType& type,
                  const Range& range) const {
    // Extents of zero count as one here, so that strides cannot overflow either.
    std::int64_t span = static_cast<std::int64_t>(type.size);
    for (const auto extent : shape) {
      if (__builtin_mul_overflow(span, std::max<std::int64_t>(extent, 1), &span)) {
        fail(tensor, "the shape {} is too large", shape.str());
      }
    }
    const auto bytes = static_cast<std::uint64_t>(shape.numel()) * type.size;
    if (bytes != range.end - range.begin) {
      fail(tensor, "expected {} bytes for {} {}, found {}", bytes, type.name, shape.str(),
           range.end - range.begin);
    }
  }

  // The official format allows neither overlaps nor holes, so that nothing can hide in a file.
  void check_cover(std::vector<Range> ranges) const {
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    std::uint64_t end = 0;
    std::string_view previous = "(header)";
    for (const auto& range : ranges) {
      if (range.begin < end) {
        fail(range.name, "starts at byte {} and overlaps tensor '{}', which ends at {}",
             range.begin, previous, end);
      }
      if (range.begin > end) {
        fail(range.name, "starts at byte {}, leaving a hole after byte {}", range.begin, end);
      }
      end = range.end;
      previous = range.name;
    }
    require(end == data_size, ErrorKind::bad_file,
            "{}: expected {} bytes of data as the header says, found {}", source, end, data_size);
  }
};

// JSON of the header; an object key that occurs twice is refused, which a plain parse would not.
nlohmann::json parse_header(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) keys.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) keys.pop_back();
    if (event == nlohmann::json::parse_event_t::key) {
      require(keys.back().insert(parsed.get<std::string>()).second, ErrorKind::bad_file,
              "{}: '{}' occurs twice in the header", source, one_line(parsed.get<std::string>()));
    }
    return true;
  };
  require(!text.empty() && text.front() == '{', ErrorKind::bad_file,
          "{}: expected a safetensors header that starts with '{{'", source);
  try {
    return nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::exception&) {
    Json::parse(text, source + ": header");  // words the error with line and column
    throw;
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : source_(path.string()), file_(path) {
  parse(file_.data(), file_.size());
}

SafetensorsFile::SafetensorsFile(const std::byte* data, std::size_t size, std::string_view source)
    : source_(source) {
  parse(data, size);
}

void SafetensorsFile::parse(const std::byte* data, std::size_t size) {
  require(size >= kLengthBytes, ErrorKind::bad_file,
          "{}: expected a safetensors file, found only {} bytes", source_, size);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, data, kLengthBytes);
  require(header_size <= kMaxHeader, ErrorKind::bad_file,
          "{}: expected a safetensors header of at most {} bytes, found {}", source_, kMaxHeader,
          header_size);
  require(header_size <= size - kLengthBytes, ErrorKind::bad_file,
          "{}: truncated: the header alone has {} bytes, the whole file {}", source_, header_size,
          size);
  const std::string_view text(reinterpret_cast<const char*>(data) + kLengthBytes, header_size);
  const auto json = parse_header(text, source_);
  const std::byte* tensors = data + kLengthBytes + header_size;
  const Header header{source_, size - kLengthBytes - header_size};

  std::vector<Range> ranges;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      read_metadata(value);
      continue;
    }
    if (!value.is_object()) header.fail(name, "expected an object in the header");
    const auto& type = header.type(name, value);
    const auto shape = header.shape(name, value);
    auto& [key, entry] = *entries_.emplace(name, Entry{{}, std::string(type.name), 0}).first;
    const auto range = header.range(key, value);
    header.check_size(key, shape, type, range);
    ranges.push_back(range);
    entry.bytes = range.end - range.begin;
    total_bytes_ += entry.bytes;
    if (!type.dtype.has_value()) continue;
    entry.view = TensorView(const_cast<std::byte*>(tensors + range.begin), *type.dtype, shape);
  }
  header.check_cover(std::move(ranges));
  align_tensors();
}

void SafetensorsFile::align_tensors() {
  for (auto& [name, entry] : entries_) {
    const auto& view = entry.view;
    if (reinterpret_cast<std::uintptr_t>(view.data()) % size_of(view.dtype()) == 0) continue;
    Tensor copy(view.dtype(), view.shape());
    if (entry.bytes > 0) std::memcpy(copy->data(), view.data(), entry.bytes);
    entry.view = copy;
    aligned_copies_.push_back(std::move(copy));
  }
}

void SafetensorsFile::read_metadata(const nlohmann::json& value) {
  bool strings = value.is_object();
  for (const auto& item : value) strings = strings && item.is_string();
  require(strings, ErrorKind::bad_file, "{}: expected __metadata__ to map strings to strings",
          source_);
  for (const auto& [key, text] : value.items()) metadata_.emplace(key, text.get<std::string>());
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

bool SafetensorsFile::has(std::string_view name) const { return entries_.count(name) != 0; }

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto it = entries_.find(name);
  if (it == entries_.end()) return nullptr;
  require(it->second.view.defined(), ErrorKind::bad_file,
          "{}: tensor '{}': expected F64, F32, F16, BF16, I64, I32 or U8, found {}", source_, name,
          it->second.dtype_name);
  return &it->second.view;
}

const TensorView& SafetensorsFile::get(std::string_view name) const {
  const auto* view = find(name);
  require(view != nullptr, ErrorKind::bad_file, "{}: holds no tensor '{}'", source_, name);
  return *view;
}

std::uint64_t SafetensorsFile::bytes_of(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? 0 : it->second.bytes;
}

std::string_view SafetensorsFile::dtype_name(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? std::string_view() : it->second.dtype_name;
}

}  // namespace sparsevid
