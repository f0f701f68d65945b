#include "text/clean_prompt.h"

#include "text/fix_text.h"
#include "text/html_unescape.h"
#include "text/utf8.h"

namespace sparsevid {
namespace {

std::u32string collapse_spaces(std::u32string_view text) {
  std::u32string result;
  bool pending = false;
  for (const char32_t c : text) {
    if (is_space(c)) {
      pending = !result.empty();
      continue;
    }
    if (pending) result.push_back(U' ');
    pending = false;
    result.push_back(c);
  }
  return result;
}

}  // namespace

std::string clean_prompt(std::string_view prompt) {
  const auto fixed = fix_text(decode_utf8(prompt));
  return encode_utf8(collapse_spaces(html_unescape(html_unescape(fixed))));
}

}  // namespace sparsevid
