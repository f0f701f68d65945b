// UniPC, the predictor-corrector of Zhao et al. 2023 (arXiv 2302.04867), for flow models.
#pragma once

#include <cstdint>
#include <vector>

#include "io/json.h"
#include "sampling/schedule.h"

namespace sparsevid {

/// How flow noise levels are spaced before shifting, for N steps i = 0..N-1.
enum class SigmaGrid : std::uint8_t {
  current,  ///< diffusers >= 0.37: 1 - 0.999 i / N, the first level lowered by 1e-6
  legacy,   ///< diffusers <= 0.36: 0.999 (1 - i / N)
};

/// Keys of scheduler_config.json.
struct UniPcConfig {
  int num_train_timesteps = 1000;
  int solver_order = 2;  ///< 1 or 2; the last step is always of first order
  double flow_shift = 1;
  std::vector<int> disable_corrector;  ///< steps whose result is not corrected
  SigmaGrid grid = SigmaGrid::current;
};

/// Throws Error(bad_file) on anything but flow prediction of x0 with B(h) = expm1(h) ("bh2").
UniPcConfig read_unipc_config(const Json& config);

Schedule make_unipc_schedule(const UniPcConfig& config, int steps);

}  // namespace sparsevid
