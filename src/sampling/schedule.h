// A sampling schedule as plain data: noise levels, model times, and the linear updates of each
// step.
#pragma once

#include <cstdint>
#include <vector>

namespace sparsevid {

/// The latent-sized buffers a sampling loop keeps. The loop provides `sample` (the latents; on the
/// first step the initial noise) and, before each step, `model_output` (the guided prediction of
/// the network at the current `sample`). All others start undefined and are only read after an
/// update has written them.
enum class Buffer : std::uint8_t {
  sample,        ///< x: input of the network, and the result after the last step
  model_output,  ///< v: what the network predicted at x
  corrected,     ///< x of this step after the corrector; next step's starting point
  x0,            ///< the clean latents predicted by this step
  previous_x0,   ///< by the step before
  older_x0,      ///< by the one before that
};
constexpr int kBufferCount = 6;

struct Term {
  Buffer source;
  double weight;
};

/// target = sum of weight * source, elementwise; the target may be among the sources.
struct Update {
  Buffer target;
  std::vector<Term> terms;
};

struct Schedule {
  std::vector<double> sigmas;     ///< noise level before each step, and after the last: steps + 1
  std::vector<double> timesteps;  ///< what the network is told, one per step
  std::vector<std::vector<Update>> updates;  ///< per step, to be applied in order

  int steps() const { return static_cast<int>(timesteps.size()); }
};

}  // namespace sparsevid
