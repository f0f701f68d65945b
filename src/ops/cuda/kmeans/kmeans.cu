// k-means with f32 distances: for f32 rows, and for bf16 where the tensor cores' form does not fit.
//
// Plan: a block takes 32 rows; its 8 warps 4 rows each, its lanes 32 centroids at a time, both in
//   shared memory 32 columns at a time. Bound: three operations an element and column, half of them
//   loads from shared memory; it serves tests and small inputs.
#include "ops/cuda/kmeans/kmeans.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/kmeans/lloyd.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kRowsOfWarp = 4;
constexpr int kRows = kWarps * kRowsOfWarp;
constexpr int kColumns = 32;

template <typename T>
__global__ void __launch_bounds__(kWarps * 32)
    assign_exactly(const T* x, std::int64_t head_stride, std::int64_t row_stride, LloydState state,
                   int* labels, std::int64_t labels_stride) {
  const int head = static_cast<int>(blockIdx.y);
  if (state.resting[head] != 0) return;
  __shared__ float rows[kRows][kColumns];
  __shared__ float centroids[32][kColumns + 1];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int first = static_cast<int>(blockIdx.x) * kRows;
  const std::int64_t place = static_cast<std::int64_t>(head) * state.clusters;
  float best[kRowsOfWarp];
  int label[kRowsOfWarp];
  for (int r = 0; r < kRowsOfWarp; ++r) {
    best[r] = __builtin_huge_valf();
    label[r] = state.clusters;
  }
  for (int c = 0; c < state.clusters; c += 32) {
    float squared[kRowsOfWarp] = {};
    for (int column = 0; column < state.dim; column += kColumns) {
      const int d = column + lane;
      __syncthreads();
      for (int i = warp; i < 32; i += kWarps) {
        const int row = min(first + i, state.count - 1);
        rows[i][lane] = d < state.dim ? to_float(x[head * head_stride + row * row_stride + d]) : 0;
        const bool inside = d < state.dim && c + i < state.clusters;
        centroids[i][lane] = inside ? state.centroids[(place + c + i) * state.dim + d] : 0;
      }
      __syncthreads();
      for (int k = 0; k < kColumns; ++k) {
        const float value = centroids[lane][k];
#pragma unroll
        for (int r = 0; r < kRowsOfWarp; ++r) {
          const float difference = rows[warp * kRowsOfWarp + r][k] - value;
          squared[r] += difference * difference;
        }
      }
    }
    if (c + lane >= state.clusters || state.usable[place + c + lane] == 0) continue;
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      if (!(squared[r] < best[r])) continue;
      best[r] = squared[r];
      label[r] = c + lane;
    }
  }
  for (int r = 0; r < kRowsOfWarp; ++r) {
    for (int distance = 16; distance > 0; distance /= 2) {
      const float other = __shfl_xor_sync(0xffffffffU, best[r], distance);
      const int other_label = __shfl_xor_sync(0xffffffffU, label[r], distance);
      if (other < best[r] || (other == best[r] && other_label < label[r])) {
        best[r] = other;
        label[r] = other_label;
      }
    }
    const int row = first + warp * kRowsOfWarp + r;
    // A row that is not a number is nearest to nothing.
    if (lane == 0 && row < state.count)
      labels[head * labels_stride + row] = label[r] < state.clusters ? label[r] : 0;
  }
}

class ExactAssign : public AssignStep {
 public:
  void run(const LloydState& state, const KMeansParams& params, Context& context) override {
    if (state.count == 0) return;
    with_float_type(params.x.dtype(), [&](auto element) {
      using T = decltype(element);
      assign_exactly<<<dim3(ceil_div(state.count, kRows), state.heads), kWarps * 32, 0,
                       stream_of(context)>>>(
          device_pointer<const T>(params.x), params.x.stride(0), params.x.stride(1), state,
          params.labels.as<std::int32_t>(), params.labels.stride(0));
    });
    check_launch("kmeans");
  }
};

}  // namespace

void kmeans(const KMeansParams& params, Context& context) {
  ExactAssign assign;
  lloyd(assign, params, context);
}

}  // namespace sparsevid::ops::cuda
