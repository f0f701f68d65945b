// placeholder header comment, replaced below
#include "ops/cuda/attention_hopper/attention_hopper.h"

#include <numbers>

#include "ops/cuda/attention_hopper/dense_kernel.h"
#include "ops/cuda/attention_hopper/dense_launch.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

std::string attention_hopper_refusal(const AttentionParams& params, const Context&) {
  if (params.q.device() != Device::cuda) return "tensors are not on the GPU";
  if (device_facts().compute_capability != 90) return "needs compute capability 9.0";
  if (params.q.dtype() != DType::bf16) return "bf16 only";
  if (params.q.size(2) != 64 && params.q.size(2) != 128) return "head_dim is not 64 or 128";
  if (params.bias.defined() || params.key_bias.defined()) return "no bias";
  if (!(params.scale > 0)) return "scale is not positive";
  for (const TensorView* view : {&params.q, &params.k, &params.v, &params.out})
    if (std::string reason = head_rows_refusal(*view); !reason.empty()) return reason;
  return {};
}

void attention_hopper(const AttentionParams& params, Context& context) {
  if (params.q.size(2) == 128)
    launch_dense<AttentionTile<128, 192, 2>, 2>(params, stream_of(context));
  else
    launch_dense<AttentionTile<64, 128, 3>, 1>(params, stream_of(context));
}

}  // namespace sparsevid::ops::cuda
