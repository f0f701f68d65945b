// The prompt as Wan's pipeline hands it to the tokenizer.
#pragma once

#include <string>
#include <string_view>

namespace sparsevid {

/// ftfy-like repair (see fix_text.h), HTML references replaced twice over, any run of white space
/// made one space, none at the ends. Bytes that are not UTF-8 become U+FFFD.
std::string clean_prompt(std::string_view prompt);

}  // namespace sparsevid
