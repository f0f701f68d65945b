// The problem: x += y gate for [75600, 5120] bf16 moves 2.3 GB; the gate is a row that every row
//   needs.
// Plan: a thread takes 16 bytes at two places; the gate comes from the first cache.
// Bound: memory.
// Tried: as many threads as fit, each staying in its column and walking down the rows with its part
//   of the gate in registers: 3.64 TB/s of 4.2 that a copy reaches; 16 bytes of four rows: 3.23.
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/elementwise.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 2;

template <typename T>
struct GatedResidual {
  T* x;
  const T* y;
  const float* gate;
  std::int64_t x_stride, y_stride;
  std::int64_t packs;  // of all rows
  unsigned row_packs;
};

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads) gated_residual_kernel(const GatedResidual<T> p) {
  Pack<T, kWidth> x[kUnroll];
  Pack<T, kWidth> y[kUnroll];
  T* place[kUnroll];
  float gate[kUnroll][kWidth];
#pragma unroll
  for (int i = 0; i < kUnroll; ++i) {
    const std::int64_t pack =
        (static_cast<std::int64_t>(blockIdx.x) * kUnroll + i) * kThreads + threadIdx.x;
    place[i] = nullptr;
    if (pack >= p.packs) continue;
    const std::int64_t row = pack / p.row_packs;
    const std::int64_t column = (pack - row * p.row_packs) * kWidth;
    place[i] = p.x + row * p.x_stride + column;
    x[i] = load_once<T, kWidth>(place[i]);
    y[i] = load_once<T, kWidth>(p.y + row * p.y_stride + column);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) gate[i][j] = 1;
    if (p.gate != nullptr) load_floats(p.gate + column, gate[i]);
  }
#pragma unroll
  for (int i = 0; i < kUnroll; ++i) {
    if (place[i] == nullptr) continue;
    float sum[kWidth];
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      sum[j] = to_float(x[i].value[j]) + to_float(y[i].value[j]) * gate[i][j];
    store_floats(place[i], sum);
  }
}

template <typename T, int kWidth>
void launch(GatedResidual<T> p, const TensorView& x, const Context& context) {
  p.row_packs = static_cast<unsigned>(x.size(1) / kWidth);
  p.packs = x.size(0) * p.row_packs;
  gated_residual_kernel<T, kWidth>
      <<<static_cast<unsigned>(ceil_div(p.packs, std::int64_t{kThreads * kUnroll})), kThreads, 0,
         stream_of(context)>>>(p);
  check_launch("gated_residual");
}

}  // namespace

void gated_residual(const GatedResidualParams& params, Context& context) {
  const auto& [x, y, gate] = params;
  if (x.numel() == 0) return;
  with_float_type(x.dtype(), [&](auto element) {
    using T = decltype(element);
    constexpr int kWidth = 16 / sizeof(T);
    GatedResidual<T> p = {};
    p.x = device_pointer<T>(params.x);
    p.y = device_pointer<const T>(params.y);
    p.gate = device_pointer<const float>(params.gate);
    p.x_stride = params.x.stride(0);
    p.y_stride = params.y.stride(0);
    const bool wide = aligned_to(p.x, 16) && aligned_to(p.y, 16) && aligned_to(p.gate, 16) &&
                      params.x.size(1) % kWidth == 0 && p.x_stride % kWidth == 0 &&
                      p.y_stride % kWidth == 0;
    if (wide) {
      launch<T, kWidth>(p, params.x, context);
    } else {
      launch<T, 1>(p, params.x, context);
    }
  });
}

}  // namespace sparsevid::ops::cuda
