// The problem: as attention_hopper/attention_hopper.cu, with half the bytes and twice the rate of
//   the tensor cores, so that the exponentials (16 a cycle and multiprocessor) take as long as the
//   products.
// Plan of warps: one warpgroup loads, two compute 64 query rows each, which stay in registers. Two
//   blocks of a cluster copy half of each tile of keys and values to both.
// Before it: three passes over the inputs round them and lay them out (prepare.h), for as many
//   heads at a time as 640 MiB of scratch hold.
// Shared memory: two tiles each of keys and values of 192 keys, 99 KiB, and 68 KiB of f32 sums; at
//   head_dim 64, without clusters, of 256 keys, 68 KiB, and 36 KiB.
// Bound: tensor cores and special function units, 1,584 and 1,440 cycles for 128 queries and 192
//   keys, of 2,885 in an earlier form; then the chain of a warpgroup's logits, softmax and output.
// Shares of exponentials by polynomial were chosen by time alone: neighbouring ones differ by up to
//   6 %, and not monotonically.
// Measured and tried: docs/kernels/2026-11-21-8bit-attention.md.
#include "ops/cuda/attention_hopper_8bit/attention_hopper_8bit.h"

#include "ops/cuda/attention_hopper/refusal.h"
#include "ops/cuda/attention_hopper_8bit/dense_launch.h"

namespace sparsevid::ops::cuda {

std::string attention_8bit_hopper_refusal(const Attention8bitParams& params, const Context&) {
  return hopper_attention_refusal(params);
}

void attention_8bit_hopper(const Attention8bitParams& params, Context& context) {
  if (params.q.size(2) == 128)
    launch_dense_8bit<Tile8<128, 192>, 2, 1, 16>(params, context);
  else
    launch_dense_8bit<Tile8<64, 256>, 1, 2, 12>(params, context);
}

}  // namespace sparsevid::ops::cuda
