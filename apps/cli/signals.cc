#include "signals.h"

#include <csignal>

namespace sparsevid::cli {
namespace {

std::atomic<bool> stop_requested{false};
volatile std::sig_atomic_t received = 0;

/// For the signals that ask for a stop, but those that a parent such as nohup has had ignored.
void handle_with(void (*handler)(int)) {
  for (const int each : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(each, handler) == SIG_IGN) std::signal(each, SIG_IGN);
}

void on_signal(int signal) {
  received = signal;
  stop_requested = true;
  // For all of them, so that whatever comes next ends the process.
  handle_with(SIG_DFL);
}

}  // namespace

const std::atomic<bool>& catch_stop_signals() {
  handle_with(on_signal);
  return stop_requested;
}

int stop_signal() { return received; }

}  // namespace sparsevid::cli
