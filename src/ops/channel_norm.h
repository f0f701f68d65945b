// The norm of Wan'\''s VAE: x / max(||x||, 1e-12) sqrt(channels) gamma, optionally through SiLU.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct ChannelNormParams {
  TensorView x;      ///< [rows, channels] f32 or bf16, contiguous
  TensorView gamma;  ///< [channels] f32
  bool silu = false;
  TensorView out;  ///< like x; may be x
};

void channel_norm(const ChannelNormParams& params, Context& context);
const ImplementationList<ChannelNormParams>& channel_norm_implementations();

}  // namespace sparsevid::ops
