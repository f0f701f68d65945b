#include "pipeline/progress.h"

#include <algorithm>
#include <numeric>

#include "base/profile.h"

namespace sparsevid {
namespace {

constexpr double kSecondsBetweenReports = 0.2;
/// The pace is that of the latest steps: sparse steps are faster than the dense ones before them.
constexpr std::ptrdiff_t kStepsOfPace = 3;
/// Less of a first step than this says too little about its length.
constexpr double kFirstGuess = 0.1;

}  // namespace

const char* to_string(Stage stage) {
  switch (stage) {
    case Stage::loading:
      return "loading";
    case Stage::text:
      return "text";
    case Stage::sampling:
      return "sampling";
    case Stage::decoding:
      return "decoding";
  }
  return "?";
}

void ProgressReporter::begin(Stage stage, int total) {
  progress_ = {.stage = stage, .total = total};
  step_seconds_.clear();
  step_start_ = now_seconds();
  send(0);
}

void ProgressReporter::within(double fraction) {
  if (now_seconds() - last_sent_ >= kSecondsBetweenReports) send(fraction);
}

void ProgressReporter::complete(int step) {
  const double now = now_seconds();
  const int finished = step - progress_.step;
  for (int i = 0; i < finished; ++i) step_seconds_.push_back((now - step_start_) / finished);
  step_start_ = now;
  progress_.step = step;
  send(0);
}

void ProgressReporter::send(double within) {
  last_sent_ = now_seconds();
  if (observer_ == nullptr) return;
  const double in_step = last_sent_ - step_start_;
  if (!step_seconds_.empty()) {
    const auto count = std::min(kStepsOfPace, static_cast<std::ptrdiff_t>(step_seconds_.size()));
    progress_.seconds_per_step =
        std::accumulate(step_seconds_.end() - count, step_seconds_.end(), 0.0) /
        static_cast<double>(count);
  } else if (within >= kFirstGuess) {
    progress_.seconds_per_step = in_step / within;
  }
  if (progress_.total > 0) {
    progress_.fraction = std::min(1.0, (progress_.step + within) / progress_.total);
    if (progress_.seconds_per_step > 0)
      progress_.seconds_left =
          (progress_.total - progress_.step - within) * progress_.seconds_per_step;
  }
  observer_->progress(progress_);
}

}  // namespace sparsevid
