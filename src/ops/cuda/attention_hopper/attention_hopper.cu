// The problem: 4 heads q_len k_len head_dim operations, 117 TFLOP for 40 x 75,600 x 128, with K and
//   V of a head (39 MB there) read once for every 128 query rows.
// Plan of warps: one warpgroup loads (one thread of it issues the copies of the tensor copy
//   engine), the others compute 64 query rows each: 2 at head_dim 128, 3 at 64. They take turns at
//   issuing products (attend.h). Two blocks of a cluster share their keys at head_dim 128: each
//   copies half of a tile to both, which halves the traffic out of the L2 cache.
// Order: a grid as large as the chip walks over the query tiles head by head, so that all blocks
//   read the keys of one head at a time; the L2 cache is asked to keep those.
// Shared memory: queries and two tiles each of keys and values, 224 KiB at head_dim 128 (192 keys a
//   tile), 88 KiB at 64 (128 keys).
// Bound: tensor cores; in fact power: at 88 % of their cycles the clock falls to 1.6 GHz.
// Measured and tried: docs/kernels/2026-11-21-hopper-attention.md.
#include "ops/cuda/attention_hopper/attention_hopper.h"

#include "ops/cuda/attention_hopper/dense_kernel.h"
#include "ops/cuda/attention_hopper/dense_launch.h"
#include "ops/cuda/attention_hopper/refusal.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

std::string attention_hopper_refusal(const AttentionParams& params, const Context&) {
  if (params.bias.defined() || params.key_bias.defined()) return "no bias";
  return hopper_attention_refusal(params);
}

void attention_hopper(const AttentionParams& params, Context& context) {
  if (params.q.size(2) == 128)
    launch_dense<AttentionTile<128, 192, 2>, 2>(params, stream_of(context));
  else
    launch_dense<AttentionTile<64, 128, 3>, 1>(params, stream_of(context));
}

}  // namespace sparsevid::ops::cuda
