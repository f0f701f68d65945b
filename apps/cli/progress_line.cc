#include "progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace sparsevid::cli {
namespace {

constexpr double kSecondsBetweenPlainLines = 2;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// "0:07", "2:03", "1:02:03"
std::string clock_text(double seconds) {
  const long whole = std::lround(seconds);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

/// A terminal that can write over a line.
bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && kind != nullptr && std::string_view(kind) != "dumb";
}

/// What fits one line of the terminal, whose width may change; a wrapped line is not written over.
std::string_view one_row(std::string_view line) {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return line;
  return line.substr(0, size.ws_col - 1U);
}

std::string pace_text(const Progress& progress) {
  const char* unit = progress.stage == Stage::decoding ? "frame" : "step";
  char text[48];
  std::snprintf(text, sizeof text, "%.*f s/%s", progress.seconds_per_step < 10 ? 2 : 1,
                progress.seconds_per_step, unit);
  return text;
}

}  // namespace

std::string progress_text(const Progress& progress) {
  std::string text = to_string(progress.stage);
  if (progress.total == 0) return text;
  text += " " + std::to_string(progress.step) + "/" + std::to_string(progress.total);
  if (progress.seconds_per_step > 0) text += ", " + pace_text(progress);
  if (progress.seconds_left >= 0) text += ", " + clock_text(progress.seconds_left) + " left";
  return text;
}

ProgressLine::ProgressLine(bool quiet) : quiet_(quiet), terminal_(is_terminal()) {}

ProgressLine::~ProgressLine() { end_line(); }

void ProgressLine::progress(const Progress& progress) {
  if (quiet_) return;
  const bool new_stage = progress.stage != stage_ || progress.step < printed_step_;
  const bool last = progress.total > 0 && progress.step == progress.total;
  if (terminal_) {
    if (new_stage) end_line();
    print(progress_text(progress), last);
  } else if (new_stage || printed_step_ < 0 ||
             (progress.step != printed_step_ &&
              (last || now() - printed_at_ >= kSecondsBetweenPlainLines))) {
    std::fprintf(stderr, "%s\n", progress_text(progress).c_str());
    printed_at_ = now();
  } else {
    return;
  }
  stage_ = progress.stage;
  printed_step_ = progress.step;
}

void ProgressLine::warning(std::string_view line) {
  end_line();
  std::fprintf(stderr, "sparsevid: warning: %.*s\n", static_cast<int>(line.size()), line.data());
}

void ProgressLine::print(const std::string& line, bool final) {
  const std::string_view row = one_row(line);
  std::fprintf(stderr, "\r%.*s\x1b[K%s", static_cast<int>(row.size()), row.data(),
               final ? "\n" : "");
  std::fflush(stderr);
  open_ = !final;
}

void ProgressLine::end_line() {
  if (open_) std::fprintf(stderr, "\n");
  open_ = false;
}

}  // namespace sparsevid::cli
