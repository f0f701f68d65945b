// The sinusoidal embedding of a timestep.
#pragma once

#include "core/tensor.h"

namespace sparsevid::nn {

/// Writes [cos(t f_0) ... cos(t f_n-1), sin(t f_0) ... sin(t f_n-1)] with f_i = 10000^(-i/n) and
/// n = size / 2 into `out`, [size] f32. In f32 step by step, as diffusers computes it
/// (get_timestep_embedding with flip_sin_to_cos and downscale_freq_shift 0).
void timestep_embedding(double timestep, const TensorView& out);

}  // namespace sparsevid::nn
