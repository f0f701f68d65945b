// Character references in text, "&amp;" and "&#233;", replaced by their characters.
#pragma once

#include <string>
#include <string_view>

namespace sparsevid {

/// By the rules of HTML 5, as Python's html.unescape applies them: also references without a
/// semicolon, where browsers accept those.
std::u32string html_unescape(std::u32string_view text);

/// Only references that are closed by a semicolon, as ftfy does.
std::u32string html_unescape_closed(std::u32string_view text);

}  // namespace sparsevid
