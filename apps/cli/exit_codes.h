// What the program returns to the shell.
#pragma once

namespace sparsevid::cli {

constexpr int kOk = 0;
constexpr int kFailure = 1;
constexpr int kBadInput = 2;
constexpr int kSignalBase = 128;  ///< plus the signal: 130 after Ctrl-C, 143 after SIGTERM

}  // namespace sparsevid::cli
