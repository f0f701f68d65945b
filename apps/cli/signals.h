// Ctrl-C and SIGTERM as a request to stop.
#pragma once

#include <atomic>

namespace sparsevid::cli {

/// From now on the first SIGINT or SIGTERM sets the flag, and the second ends the process at once.
const std::atomic<bool>& catch_stop_signals();
/// The signal that came; 0 if none.
int stop_signal();

}  // namespace sparsevid::cli
