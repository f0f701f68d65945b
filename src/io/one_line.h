// Names that come out of files, made fit for a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace sparsevid {

/// Control characters become '?', and only the first `most` bytes are kept.
inline std::string one_line(std::string_view text, std::size_t most = 200) {
  std::string result(text.substr(0, most));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > most) result += "...";
  return result;
}

}  // namespace sparsevid
