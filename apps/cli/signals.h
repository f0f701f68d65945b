// Ctrl-C, SIGTERM and the end of the terminal as a request to stop.
#pragma once

#include <atomic>

namespace sparsevid::cli {

/// From now on the first SIGINT, SIGTERM or SIGHUP sets the flag, and the second ends the process
/// at once. Signals that are ignored stay ignored.
const std::atomic<bool>& catch_stop_signals();
/// The signal that came; 0 if none.
int stop_signal();

}  // namespace sparsevid::cli
