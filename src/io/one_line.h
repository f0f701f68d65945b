// Names that come out of files, made fit for a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace sparsevid {

/// Control characters become '?', and only the first 200 bytes are kept.
inline std::string one_line(std::string_view text) {
  constexpr std::size_t kMaxShown = 200;
  std::string result(text.substr(0, kMaxShown));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > kMaxShown) result += "...";
  return result;
}

}  // namespace sparsevid
