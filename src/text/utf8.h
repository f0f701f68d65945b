// Text as code points.
#pragma once

#include <string>
#include <string_view>

namespace sparsevid {

/// Code points of UTF-8 text; every byte that belongs to no valid sequence becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view text);

/// What Python's str.isspace() says of one character.
bool is_space(char32_t c);

/// Unicode normalisation form C (canonical composition).
std::u32string to_nfc(std::u32string_view text);
/// Form KC (compatibility composition).
std::u32string to_nfkc(std::u32string_view text);

}  // namespace sparsevid
