// sparsevid: video from text with diffusion transformers and training-free sparse attention.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sparsevid/bench.h"
#include "sparsevid/error.h"
#include "sparsevid/info.h"
#include "sparsevid/observer.h"
#include "sparsevid/options.h"
#include "sparsevid/quality.h"
#include "sparsevid/version.h"

#pragma GCC visibility push(default)
namespace sparsevid {

/// Lines of the categories named in a comma-separated list (dispatch, memory, time, all) go to
/// stderr from now on. Throws Error(bad_input) on an unknown name.
void enable_log(const std::string& categories);

struct GenerateResult {
  std::string output;
  std::string latents;  ///< path of the saved latents; empty when they were not kept
  std::vector<std::pair<std::string, double>> stage_seconds;  ///< in order
  double seconds = 0;                                         ///< the whole run
  double sampling_seconds = 0;                                ///< the denoising loop
  double attention_seconds = 0;                               ///< self-attention within it
  double density = 1;                ///< share of query-key pairs computed, dense steps included
  std::vector<std::string> summary;  ///< lines for a reader
  std::string report;                ///< the run report, JSON
};

/// An opened checkpoint. Weights are read when a generation needs them and given back after it.
class Model {
 public:
  /// Opens a diffusers folder and checks its configs and all weight files' headers.
  /// Throws Error(bad_file).
  static Model load(const std::string& folder);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  ModelInfo info() const;
  /// Prompt to video file. Throws Error: bad_input for options, out_of_memory before any work,
  /// io when writing failed (the message then says how to go on from the saved latents, or that
  /// only a file beside the clip is missing),
  /// cancelled.
  GenerateResult generate(const GenerateOptions& options, Observer* observer = nullptr) const;

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What a folder holds, also when it cannot be used: problems are listed, not thrown. Reads no
/// weights. Throws Error(bad_file) when it is no checkpoint folder at all.
ModelInfo inspect(const std::string& folder);

}  // namespace sparsevid
#pragma GCC visibility pop
