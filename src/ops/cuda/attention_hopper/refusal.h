// What all attention kernels for Hopper ask of their parameters.
#pragma once

#include <string>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"

namespace sparsevid::ops::cuda {

/// Why none of them can take these; empty when it is up to the kernel. `Params` has q, k, v, out
/// and scale.
template <class Params>
std::string hopper_attention_refusal(const Params& params) {
  if (device_facts().compute_capability != 90) return "needs compute capability 9.0";
  if (params.q.dtype() != DType::bf16) return "bf16 only";
  if (params.q.size(2) != 64 && params.q.size(2) != 128) return "head_dim is not 64 or 128";
  if (!(params.scale > 0)) return "scale is not positive";
  for (const TensorView* view : {&params.q, &params.k, &params.v, &params.out})
    if (std::string reason = head_rows_refusal(*view); !reason.empty()) return reason;
  return {};
}

}  // namespace sparsevid::ops::cuda
