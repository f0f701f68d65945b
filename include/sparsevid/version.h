// Which sparsevid this is.
#pragma once

#pragma GCC visibility push(default)
namespace sparsevid {

/// "0.1.0"
const char* version();

}  // namespace sparsevid
#pragma GCC visibility pop
