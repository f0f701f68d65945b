#include "text/fix_text.h"

#include <algorithm>

#include "text/html_unescape.h"
#include "text/utf8.h"
#include "text/windows_1252.h"

namespace sparsevid {
namespace {

/// Letters joined in one character, U+FB05 (long s and t) among them; empty for all others.
std::u32string_view ligature(char32_t c) {
  switch (c) {
    case 0x0132:
      return U"IJ";
    case 0x0133:
      return U"ij";
    case 0x0149:
      return U"\u02BCn";
    case 0x01C4:
      return U"D\u017D";
    case 0x01C5:
      return U"D\u017E";
    case 0x01C6:
      return U"d\u017E";
    case 0x01C7:
      return U"LJ";
    case 0x01C8:
      return U"Lj";
    case 0x01C9:
      return U"lj";
    case 0x01CA:
      return U"NJ";
    case 0x01CB:
      return U"Nj";
    case 0x01CC:
      return U"nj";
    case 0x01F1:
      return U"DZ";
    case 0x01F2:
      return U"Dz";
    case 0x01F3:
      return U"dz";
    case 0xFB00:
      return U"ff";
    case 0xFB01:
      return U"fi";
    case 0xFB02:
      return U"fl";
    case 0xFB03:
      return U"ffi";
    case 0xFB04:
      return U"ffl";
    case 0xFB05:
      return U"\u017Ft";
    case 0xFB06:
      return U"st";
    default:
      return {};
  }
}

bool is_removed_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

char32_t straight_quote(char32_t c) {
  if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) return U'\'';
  if (c >= 0x201C && c <= 0x201F) return U'"';
  return c;
}

/// Length of a terminal escape sequence at the start of `text`: ESC [ parameters letter; or 0.
std::size_t terminal_escape(std::u32string_view text) {
  if (!text.starts_with(U"\x1b[")) return 0;
  std::size_t at = 2;
  while (at < text.size() && ((text[at] >= U'0' && text[at] <= U'9') || text[at] == U';')) ++at;
  if (at == text.size()) return 0;
  const char32_t letter = text[at] | 0x20;
  return letter >= U'a' && letter <= U'z' ? at + 1 : 0;
}

void append_fixed(std::u32string& result, char32_t c) {
  if (c >= 0x80 && c <= 0x9F) c = from_windows_1252(c);
  if (c == 0x3000) c = U' ';
  if (c == 0x2028 || c == 0x2029) c = U'\n';
  if (const auto letters = ligature(c); !letters.empty()) {
    for (const char32_t letter : letters) result.push_back(straight_quote(letter));
  } else if (c >= 0xFF01 && c <= 0xFFEF) {
    result += to_nfkc({&c, 1});
  } else {
    result.push_back(straight_quote(c));
  }
}

std::u32string fix_characters(std::u32string_view text) {
  std::u32string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != U'\r') {
      append_fixed(result, text[i]);
    } else if (i + 1 == text.size() || text[i + 1] != U'\n') {
      result.push_back(U'\n');
    }
  }
  return result;
}

std::u32string remove_controls(std::u32string_view text) {
  std::u32string result;
  while (!text.empty()) {
    const auto escape = terminal_escape(text);
    if (escape == 0 && !is_removed_control(text[0])) result.push_back(text[0]);
    text.remove_prefix(std::max<std::size_t>(escape, 1));
  }
  return result;
}

/// One fix can make way for another ("&amp;rsquo;"), so all are repeated until nothing changes.
std::u32string fix_line(std::u32string text, bool unescape) {
  for (;;) {
    auto fixed = fix_characters(unescape ? html_unescape_closed(text) : text);
    fixed = to_nfc(remove_controls(fixed));
    if (fixed == text) return fixed;
    text = std::move(fixed);
  }
}

}  // namespace

std::u32string fix_text(std::u32string_view text) {
  std::u32string result;
  bool unescape = true;  // until something that may be a tag: then the text may be meant as HTML
  while (!text.empty()) {
    const auto line = text.substr(0, std::min(text.size(), text.find(U'\n')) + 1);
    text.remove_prefix(std::min(line.size(), text.size()));
    if (line.find(U'<') != std::u32string_view::npos) unescape = false;
    result += fix_line(std::u32string(line), unescape);
  }
  return result;
}

}  // namespace sparsevid
