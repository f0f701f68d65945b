#include "text/html_entities.h"

#include <charconv>
#include <unordered_map>

namespace sparsevid {
namespace {

using Table = std::unordered_map<std::string_view, HtmlEntity>;

char32_t parse_hex(std::string_view text) {
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

Table parse_table(std::string_view text) {
  Table table;
  constexpr std::string_view kBlank = " \n";
  for (;;) {
    const auto begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return table;
    text.remove_prefix(begin);
    auto item = text.substr(0, text.find_first_of(kBlank));
    text.remove_prefix(item.size());
    const bool optional_semicolon = item.starts_with('*');
    if (optional_semicolon) item.remove_prefix(1);
    const auto colon = item.find(':');
    const auto points = item.substr(colon + 1);
    const auto plus = points.find('+');
    const char32_t second =
        plus == std::string_view::npos ? U'\0' : parse_hex(points.substr(plus + 1));
    table.emplace(item.substr(0, colon),
                  HtmlEntity{parse_hex(points.substr(0, plus)), second, !optional_semicolon});
  }
}

}  // namespace

const HtmlEntity* find_html_entity(std::string_view name) {
  static const Table table = parse_table(kHtmlEntityTable);
  const auto it = table.find(name);
  return it == table.end() ? nullptr : &it->second;
}

}  // namespace sparsevid
