// T5's bias, 64 heads of 512 x 512 at most: 67 MB written once a layer while a prompt is encoded.
// One thread an element; the table stays in L1.
#include "ops/cuda/common/launch.h"
#include "ops/cuda/relative_position_bias.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void gather_bias(const float* table, const int* buckets, int heads, int q_len, int k_len,
                            float* bias) {
  const int key = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int query = static_cast<int>(blockIdx.y);
  const int head = static_cast<int>(blockIdx.z);
  if (key >= k_len) return;
  bias[(static_cast<std::int64_t>(head) * q_len + query) * k_len + key] =
      table[buckets[key - query + q_len - 1] * heads + head];
}

}  // namespace

void relative_position_bias(const RelativePositionBiasParams& params, Context& context) {
  const auto heads = static_cast<unsigned>(params.bias.size(0));
  const auto q_len = static_cast<unsigned>(params.bias.size(1));
  const auto k_len = static_cast<unsigned>(params.bias.size(2));
  if (params.bias.numel() == 0) return;
  gather_bias<<<dim3(ceil_div(k_len, unsigned{kThreads}), q_len, heads), kThreads, 0,
                stream_of(context)>>>(params.table.as<float>(), params.buckets.as<std::int32_t>(),
                                      static_cast<int>(heads), static_cast<int>(q_len),
                                      static_cast<int>(k_len), params.bias.as<float>());
  check_launch("relative_position_bias");
}

}  // namespace sparsevid::ops::cuda
