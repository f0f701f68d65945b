#include "text/utf8.h"

#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace sparsevid {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

std::u32string normalized(std::u32string_view text, int form) {
  const std::string utf8 = encode_utf8(text);
  utf8proc_uint8_t* result = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                 static_cast<utf8proc_ssize_t>(utf8.size()), &result,
                                 static_cast<utf8proc_option_t>(form | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, std::free);
  require(size >= 0, ErrorKind::internal, "Unicode normalisation failed: {}",
          utf8proc_errmsg(size));
  return decode_utf8({reinterpret_cast<const char*>(result), static_cast<std::size_t>(size)});
}

}  // namespace

std::u32string decode_utf8(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t point = 0;
    const auto length =
        utf8proc_iterate(bytes + i, static_cast<utf8proc_ssize_t>(text.size() - i), &point);
    result.push_back(length > 0 ? static_cast<char32_t>(point) : kReplacement);
    i += length > 0 ? static_cast<std::size_t>(length) : 1;
  }
  return result;
}

std::string encode_utf8(std::u32string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char32_t c : text) {
    std::array<utf8proc_uint8_t, 4> bytes{};
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
    result.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
  }
  return result;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

std::u32string to_nfc(std::u32string_view text) { return normalized(text, UTF8PROC_COMPOSE); }

std::u32string to_nfkc(std::u32string_view text) {
  return normalized(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
}

}  // namespace sparsevid
