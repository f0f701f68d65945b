// Turns finished steps into what an Observer gets: pace and time left.
#pragma once

#include <vector>

#include "sparsevid/observer.h"

namespace sparsevid {

class ProgressReporter {
 public:
  /// `observer` may be null.
  explicit ProgressReporter(Observer* observer) : observer_(observer) {}

  void begin(Stage stage, int total);
  /// How far the running step is, in [0, 1]; passed on a few times a second at most.
  void within(double fraction);
  /// `step` steps are complete.
  void complete(int step);
  /// Seconds of the complete steps; a step that came in a group counts its share.
  const std::vector<double>& step_seconds() const { return step_seconds_; }

 private:
  void send(double within);

  Observer* observer_;
  Progress progress_;
  double step_start_ = 0;
  double last_sent_ = 0;
  std::vector<double> step_seconds_;
};

}  // namespace sparsevid
