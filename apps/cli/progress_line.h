// Progress on stderr: one line that rewrites itself on a terminal, plain lines elsewhere.
#pragma once

#include <string>

#include "sparsevid/observer.h"

namespace sparsevid::cli {

class ProgressLine final : public Observer {
 public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine() override;

  void progress(const Progress& progress) override;
  /// Shown also when quiet.
  void warning(std::string_view line) override;
  /// Leaves the line, so that what follows starts at the left.
  void end_line();

 private:
  void print(const std::string& line, bool final);

  bool quiet_;
  bool terminal_;
  bool open_ = false;  // the cursor stands behind an unfinished line
  int printed_step_ = -1;
  double printed_at_ = -1e9;
  Stage stage_ = Stage::loading;
};

/// "sampling 12/50, 3.21 s/step, 2:03 left"
std::string progress_text(const Progress& progress);

}  // namespace sparsevid::cli
