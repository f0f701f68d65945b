// Watching and stopping a long run.
#pragma once

#include <string_view>

#pragma GCC visibility push(default)
namespace sparsevid {

enum class Stage {
  loading,   ///< reading weights
  text,      ///< prompt to text states
  sampling,  ///< a step is one denoising step
  decoding,  ///< a step is one frame, decoded and written
};

/// "loading", "text", ...
const char* to_string(Stage stage);

struct Progress {
  Stage stage = Stage::loading;
  int step = 0;                 ///< steps that are complete
  int total = 0;                ///< steps of this stage; 0 where there are none to count
  double fraction = 0;          ///< of this stage, in [0, 1]; moves within a step too
  double seconds_per_step = 0;  ///< over the latest steps; 0 while unknown
  double seconds_left = -1;     ///< of this stage; negative while unknown
};

/// Called on the thread that runs the work. What it throws ends the run.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void progress(const Progress& /*progress*/) {}
  /// Something the user should know; the run goes on.
  virtual void warning(std::string_view /*line*/) {}
};

}  // namespace sparsevid
#pragma GCC visibility pop
