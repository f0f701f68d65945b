// HTML 5's named character references.
#pragma once

#include <string_view>

namespace sparsevid {

struct HtmlEntity {
  char32_t first;
  char32_t second;       ///< 0 for most
  bool needs_semicolon;  ///< false for "amp", "copy" and about a hundred more
};

/// Null when there is no such name; `name` is without '&' and ';'.
const HtmlEntity* find_html_entity(std::string_view name);

/// The generated table behind it.
extern const char* const kHtmlEntityTable;

}  // namespace sparsevid
