// Arbitrary bytes as a prompt: the result is UTF-8 without control characters or double spaces.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/clean_prompt.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto cleaned = sparsevid::clean_prompt({reinterpret_cast<const char*>(data), size});
  const auto points = sparsevid::decode_utf8(cleaned);
  if (sparsevid::encode_utf8(points) != cleaned) std::abort();
  bool after_space = true;
  for (const char32_t c : points) {
    const bool space = sparsevid::is_space(c);
    if (space && (c != U' ' || after_space)) std::abort();
    after_space = space;
  }
  if (after_space && !points.empty()) std::abort();
  return 0;
}
