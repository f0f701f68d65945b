// Plan: a thread for each 4 sums, which are read once. Bound: memory.
// The plain product, a thread for each output that reads its row and column, is for sizes that the
// library refuses.
#include "ops/cuda/linear_finish.h"

#include <algorithm>

#include "ops/cuda/common/activation.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWidth = 4;

struct Finish {
  const float* sums;
  const float* bias;
  std::int64_t sum_stride, out_stride, packs, per_row;
};

template <typename Out, Activation kActivation, int kElements>
__global__ void __launch_bounds__(kThreads) finish_kernel(Finish p, Out* out) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= p.packs) return;
  const std::int64_t row = index / p.per_row;
  const std::int64_t column = (index - row * p.per_row) * kElements;
  const Pack<float, kElements> sums =
      load_once<float, kElements>(p.sums + row * p.sum_stride + column);
  float bias[kElements] = {};
  if (p.bias != nullptr) load_floats(p.bias + column, bias);
  float values[kElements];
#pragma unroll
  for (int i = 0; i < kElements; ++i) values[i] = activation<kActivation>(sums.value[i] + bias[i]);
  store_floats(out + row * p.out_stride + column, values);
}

template <typename In, typename Out, Activation kActivation>
__global__ void __launch_bounds__(kThreads)
    plain_kernel(const In* x, std::int64_t x_stride, const In* weight, const float* bias, Out* out,
                 std::int64_t out_stride, int in, int columns, std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const std::int64_t row = index / columns;
  const std::int64_t column = index - row * columns;
  float sum = 0;
  for (int i = 0; i < in; ++i)
    sum += to_float(x[row * x_stride + i]) * to_float(weight[column * in + i]);
  if (bias != nullptr) sum += bias[column];
  out[row * out_stride + column] = from_float<Out>(activation<kActivation>(sum));
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(ceil_div(count, std::int64_t{kThreads}));
}

}  // namespace

void linear_finish(const TensorView& sums, const TensorView& bias, Activation kind,
                   const TensorView& out, Context& context) {
  with_float_type(out.dtype(), [&](auto element) {
    using Out = decltype(element);
    with_activation(kind, [&](auto tag) {
      constexpr Activation kActivation = decltype(tag)::value;
      Finish p = {device_pointer<const float>(sums),
                  device_pointer<const float>(bias),
                  sums.stride(0),
                  out.stride(0),
                  0,
                  0};
      const bool wide = out.size(1) % kWidth == 0 && p.sum_stride % kWidth == 0 &&
                        p.out_stride % kWidth == 0 && aligned_to(p.sums, 16) &&
                        aligned_to(p.bias, 16) && aligned_to(out.data(), kWidth * sizeof(Out));
      p.per_row = wide ? out.size(1) / kWidth : out.size(1);
      p.packs = p.per_row * out.size(0);
      Out* to = device_pointer<Out>(out);
      if (wide) {
        finish_kernel<Out, kActivation, kWidth>
            <<<blocks_for(p.packs), kThreads, 0, stream_of(context)>>>(p, to);
      } else {
        finish_kernel<Out, kActivation, 1>
            <<<blocks_for(p.packs), kThreads, 0, stream_of(context)>>>(p, to);
      }
    });
  });
  check_launch("linear");
}

void linear_plain(const LinearParams& params, Context& context) {
  with_float_type(params.x.dtype(), [&](auto in_element) {
    with_float_type(params.out.dtype(), [&](auto out_element) {
      using In = decltype(in_element);
      using Out = decltype(out_element);
      with_activation(params.activation, [&](auto tag) {
        constexpr Activation kActivation = decltype(tag)::value;
        plain_kernel<In, Out, kActivation>
            <<<blocks_for(params.out.numel()), kThreads, 0, stream_of(context)>>>(
                device_pointer<const In>(params.x), params.x.stride(0),
                device_pointer<const In>(params.weight), device_pointer<const float>(params.bias),
                device_pointer<Out>(params.out), params.out.stride(0),
                static_cast<int>(params.x.size(1)), static_cast<int>(params.out.size(1)),
                params.out.numel());
      });
    });
  });
  check_launch("linear");
}

}  // namespace sparsevid::ops::cuda
