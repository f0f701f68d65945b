// Repair of text that lost its way between programs, after the ftfy library.
#pragma once

#include <string>
#include <string_view>

namespace sparsevid {

/// What ftfy.fix_text does with default settings, without its repair of mojibake (text decoded in
/// the wrong encoding) and of character references in capitals ("&EACUTE;"): references in text
/// without '<' are replaced, Latin ligatures taken apart, half- and full-width forms made normal,
/// quotes straightened, line breaks unified, terminal escapes and control characters removed, and
/// the result composed (NFC).
std::u32string fix_text(std::u32string_view text);

}  // namespace sparsevid
