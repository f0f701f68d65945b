// The sampling loop: noise to latents.
#pragma once

#include <functional>
#include <vector>

#include "models/dit.h"
#include "pipeline/progress.h"
#include "sampling/schedule.h"

namespace sparsevid {

struct DenoiseOptions {
  double guidance = 1;  ///< above 1 a step runs both branches: u + guidance (c - u)
  /// Called after each step with the latents; may be empty.
  std::function<void(int step, const TensorView& latents)> after_step;
};

/// Runs the schedule in place on `latents`, [channels, frames, height, width] f32, contiguous,
/// on the context's device, which hold the noise at the start. The model must have been given the
/// text of branch 0 and, when guided, of branch 1. Throws Error(internal) when the latents cease to
/// be finite (of a GPU's last step or the one before it), and Error(cancelled).
void denoise(Dit& dit, AttentionMethod& attention, const Schedule& schedule,
             const DenoiseOptions& options, const TensorView& latents, ProgressReporter& progress,
             Context& context);

/// Bytes of the latent-sized buffers the loop keeps beside the model's own.
std::size_t denoise_bytes(const Shape& latents, DType model_dtype);

}  // namespace sparsevid
