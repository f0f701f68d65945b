// Boundaries of clusters moved to multiples; one thread a boundary.
#include "ops/cuda/common/launch.h"
#include "ops/cuda/round_offsets.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void round_offsets_kernel(const int* offsets, std::int64_t stride, int last,
                                     std::int64_t multiple, int* rounded,
                                     std::int64_t rounded_stride) {
  const int c = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (c > last) return;
  const int* of_head = offsets + blockIdx.y * stride;
  // The last one stays as it is, so it may be read while others are written.
  const std::int64_t end = of_head[last];
  std::int64_t value = of_head[c];
  if (c > 0 && c < last) value = min(end, (2 * value + multiple) / (2 * multiple) * multiple);
  rounded[blockIdx.y * rounded_stride + c] = static_cast<int>(value);
}

}  // namespace

void round_offsets(const RoundOffsetsParams& params, Context& context) {
  if (params.offsets.numel() == 0) return;
  const auto last = static_cast<int>(params.offsets.size(1)) - 1;
  const dim3 grid(ceil_div(last + 1, kThreads), static_cast<unsigned>(params.offsets.size(0)));
  round_offsets_kernel<<<grid, kThreads, 0, stream_of(context)>>>(
      params.offsets.as<std::int32_t>(), params.offsets.stride(0), last, params.multiple,
      params.rounded.as<std::int32_t>(), params.rounded.stride(0));
  check_launch("round_offsets");
}

}  // namespace sparsevid::ops::cuda
