// SPARSEVID_FORCE=op:implementation, comma separated: what has to run instead of the first willing.
#pragma once

#include <string_view>

namespace sparsevid::ops {

/// The name it gives for this op; empty where it gives none.
std::string_view forced_implementation(std::string_view op);

/// Throws Error(bad_input) unless it holds ops and implementations that there are. An op that never
/// runs cannot complain, so this is called before the work.
void check_forced_implementations();

}  // namespace sparsevid::ops
