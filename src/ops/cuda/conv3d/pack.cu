// A convolution's weights and inputs as its kernels take them: weights as [columns, taps,
// channels], once a model; channels filled up to a multiple, where a layer has few.
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/conv3d/problem.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    pack_kernel(const T* weight, int out, int in, int taps, int channels, T* packed, int row,
                std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const auto column = static_cast<int>(index / row);
  const auto at = static_cast<int>(index % row);
  const int tap = at / channels;
  const int channel = at % channels;
  const bool real = column < out && tap < taps && channel < in;
  packed[index] = real ? weight[(static_cast<std::int64_t>(column) * in + channel) * taps + tap]
                       : from_float<T>(0);
}

__global__ void __launch_bounds__(kThreads)
    pad_kernel(const device_bf16* x, int channels, device_bf16* out, int padded,
               std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const std::int64_t pixel = index / padded;
  const auto channel = static_cast<int>(index - pixel * padded);
  out[index] = channel < channels ? x[pixel * channels + channel] : __float2bfloat16_rn(0);
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(ceil_div(count, std::int64_t{kThreads}));
}

}  // namespace

void pack_conv_weight(const TensorView& weight, int channels, const TensorView& packed,
                      Context& context) {
  const auto taps = static_cast<int>(weight.size(2) * weight.size(3) * weight.size(4));
  with_float_type(weight.dtype(), [&](auto element) {
    using T = decltype(element);
    pack_kernel<<<blocks_for(packed.numel()), kThreads, 0, stream_of(context)>>>(
        device_pointer<const T>(weight), static_cast<int>(weight.size(0)),
        static_cast<int>(weight.size(1)), taps, channels, device_pointer<T>(packed),
        static_cast<int>(packed.size(1)), packed.numel());
  });
  check_launch("conv3d");
}

void pad_channels(const TensorView& x, const TensorView& out, Context& context) {
  pad_kernel<<<blocks_for(out.numel()), kThreads, 0, stream_of(context)>>>(
      device_pointer<const device_bf16>(x), static_cast<int>(x.size(1)),
      device_pointer<device_bf16>(out), static_cast<int>(out.size(1)), out.numel());
  check_launch("conv3d");
}

}  // namespace sparsevid::ops::cuda
