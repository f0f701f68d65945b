#include "text/html_unescape.h"

#include <algorithm>
#include <optional>

#include "text/html_entities.h"
#include "text/windows_1252.h"

namespace sparsevid {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kMaxPoint = 0x10FFFF;

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_hex_digit(char32_t c) {
  return is_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F');
}
bool is_alphanumeric(char32_t c) {
  return is_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}

/// What "&#point;" stands for; nothing for characters HTML does not allow.
std::u32string character(char32_t point) {
  if (point == 0 || point > kMaxPoint || (point >= 0xD800 && point <= 0xDFFF)) {
    return {kReplacement};
  }
  if (point >= 0x80 && point <= 0x9F) return {from_windows_1252(point)};
  const bool control =
      point < 0x20 && point != 0x09 && point != 0x0a && point != 0x0c && point != 0x0d;
  const bool non_character = (point >= 0xFDD0 && point <= 0xFDEF) || (point & 0xFFFE) == 0xFFFE;
  if (control || point == 0x7F || non_character) return {};
  return {point};
}

/// A reference at the start of a text: how many characters it takes, and what it stands for.
struct Reference {
  std::size_t length = 0;
  std::u32string replacement;
};

/// "&#233;", "&#xE9;", with or without the semicolon.
std::optional<Reference> numeric_reference(std::u32string_view text) {
  std::size_t at = 2;
  const bool hex = text.size() > at && (text[at] == U'x' || text[at] == U'X');
  if (hex) ++at;
  const std::size_t first = at;
  char32_t point = 0;
  for (; at < text.size() && (hex ? is_hex_digit(text[at]) : is_digit(text[at])); ++at) {
    const char32_t c = text[at];
    const char32_t digit = is_digit(c) ? c - U'0' : (c | 0x20) - U'a' + 10;
    point = std::min<char32_t>(point * (hex ? 16 : 10) + digit, kMaxPoint + 1);
  }
  if (at == first) return std::nullopt;
  if (at < text.size() && text[at] == U';') ++at;
  return Reference{at, character(point)};
}

std::u32string characters(const HtmlEntity& entity) {
  std::u32string result{entity.first};
  if (entity.second != 0) result.push_back(entity.second);
  return result;
}

/// "&eacute;", or the longest start of "&copyright" that may go without a semicolon.
std::optional<Reference> named_reference(std::u32string_view text) {
  std::string name;
  for (std::size_t i = 1; i < text.size() && is_alphanumeric(text[i]) && name.size() < 32; ++i) {
    name.push_back(static_cast<char>(text[i]));
  }
  const bool closed = name.size() + 1 < text.size() && text[name.size() + 1] == U';';
  if (const auto* entity = find_html_entity(name); closed && entity != nullptr) {
    return Reference{name.size() + 2, characters(*entity)};
  }
  for (; name.size() >= 2; name.pop_back()) {
    const auto* entity = find_html_entity(name);
    if (entity != nullptr && !entity->needs_semicolon) {
      return Reference{name.size() + 1, characters(*entity)};
    }
  }
  return std::nullopt;
}

template <typename Accept>
std::u32string replace_references(std::u32string_view text, const Accept& accept) {
  std::u32string result;
  while (!text.empty()) {
    std::optional<Reference> reference;
    if (text[0] == U'&' && text.size() > 1) {
      reference = text[1] == U'#' ? numeric_reference(text) : named_reference(text);
    }
    if (reference.has_value() && accept(text.substr(0, reference->length), *reference)) {
      result += reference->replacement;
      text.remove_prefix(reference->length);
    } else {
      result.push_back(text[0]);
      text.remove_prefix(1);
    }
  }
  return result;
}

}  // namespace

std::u32string html_unescape(std::u32string_view text) {
  return replace_references(text, [](auto&&...) { return true; });
}

std::u32string html_unescape_closed(std::u32string_view text) {
  constexpr std::size_t kMaxBody = 24;  // ftfy looks no further for the semicolon
  return replace_references(text, [](std::u32string_view source, const Reference& reference) {
    const bool numeric = source[1] == U'#';
    // "&#59;" stands for a semicolon itself, which ftfy takes for a failure.
    if (numeric && reference.replacement == U";") return false;
    return source.back() == U';' && source.size() - (numeric ? 3 : 2) <= kMaxBody;
  });
}

}  // namespace sparsevid
