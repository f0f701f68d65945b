#include "signals.h"

#include <csignal>

namespace sparsevid::cli {
namespace {

std::atomic<bool> stop_requested{false};
volatile std::sig_atomic_t received = 0;

void on_signal(int signal) {
  received = signal;
  stop_requested = true;
  // Back to the default for all of them, so that whatever comes next ends the process.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

const std::atomic<bool>& catch_stop_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  return stop_requested;
}

int stop_signal() { return received; }

}  // namespace sparsevid::cli
