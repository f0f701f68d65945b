// The share of pairs that a choice computes: one block a head, one warp a row; 12 MB of choices for
// 40 x 300 x 1,000, some 10 us.
#include "ops/cuda/common/launch.h"
#include "ops/cuda/pair_density.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 1024;
using Count = unsigned long long;

__global__ void __launch_bounds__(kThreads)
    pair_density_kernel(const unsigned char* chosen, int rows, int columns, const int* q_offsets,
                        std::int64_t q_stride, const int* k_offsets, std::int64_t k_stride,
                        double* density) {
  __shared__ Count pairs_of_warp[kThreads / 32];
  const auto head = static_cast<std::int64_t>(blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  q_offsets += head * q_stride;
  k_offsets += head * k_stride;
  chosen += head * rows * columns;
  Count pairs = 0;
  for (int i = warp; i < rows; i += kThreads / 32) {
    const unsigned char* row = chosen + static_cast<std::int64_t>(i) * columns;
    Count keys = 0;
    for (int j = lane; j < columns; j += 32)
      if (row[j] != 0) keys += k_offsets[j + 1] - k_offsets[j];
    pairs += keys * (q_offsets[i + 1] - q_offsets[i]);
  }
  for (int distance = 16; distance > 0; distance /= 2)
    pairs += __shfl_xor_sync(0xffffffffU, pairs, distance);
  if (lane == 0) pairs_of_warp[warp] = pairs;
  __syncthreads();
  if (threadIdx.x != 0) return;
  Count sum = 0;
  for (const Count of_warp : pairs_of_warp) sum += of_warp;
  density[head] = static_cast<double>(sum) /
                  (static_cast<double>(q_offsets[rows]) * static_cast<double>(k_offsets[columns]));
}

}  // namespace

void pair_density(const PairDensityParams& params, Context& context) {
  const TensorView& chosen = params.chosen;
  if (chosen.size(0) == 0) return;
  pair_density_kernel<<<static_cast<unsigned>(chosen.size(0)), kThreads, 0, stream_of(context)>>>(
      chosen.as<std::uint8_t>(), static_cast<int>(chosen.size(1)), static_cast<int>(chosen.size(2)),
      params.q_offsets.as<std::int32_t>(), params.q_offsets.stride(0),
      params.k_offsets.as<std::int32_t>(), params.k_offsets.stride(0), params.density.as<double>());
  check_launch("pair_density");
}

}  // namespace sparsevid::ops::cuda
