// The problem: f32 to the sum of two bf16, 4 bytes in and 4 bytes out.
// Plan: a thread takes 8 channels of a pixel: 32 bytes in, 16 bytes of upper and 16 of lower halves
//   out; four neighbours fill a group of 128 bytes.
// Bound: memory.
#include "ops/cuda/conv3d_hopper/split.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/pack_bf16.h"
#include "ops/cuda/conv3d/problem.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 8;  // channels of a thread

/// Two values as bf16 in one word: their upper halves, and their lower ones.
struct Halves {
  unsigned upper, lower;
};
/// What the upper half leaves is exact in f32, so both together keep 16 bits and more.
__device__ inline Halves halves_of(float first, float second) {
  const unsigned upper = pack_bf16(first, second);
  return {upper, pack_bf16(first - __uint_as_float(upper << 16),
                           second - __uint_as_float(upper & 0xffff0000U))};
}

/// Where the upper half of a channel stands in its row of split elements.
__device__ inline unsigned place_of(unsigned channel) {
  return channel / kSplitGroup * kSplitGroup * 2 + channel % kSplitGroup;
}

template <bool kWhole>
__global__ void __launch_bounds__(kThreads)
    split_pixels_kernel(const float* x, unsigned channels, device_bf16* out, unsigned runs,
                        unsigned count) {
  const unsigned index = blockIdx.x * kThreads + threadIdx.x;
  if (index >= count) return;
  const unsigned pixel = index / runs;
  const unsigned channel = (index - pixel * runs) * kRun;
  const float* from = x + static_cast<std::int64_t>(pixel) * channels + channel;
  float values[kRun] = {};
  if constexpr (kWhole) {
    if (channel < channels) load_floats(from, values);
  } else {
#pragma unroll
    for (int i = 0; i < kRun; ++i) values[i] = channel + i < channels ? from[i] : 0.0F;
  }
  Halves halves[kRun / 2];
#pragma unroll
  for (int i = 0; i < kRun / 2; ++i) halves[i] = halves_of(values[2 * i], values[2 * i + 1]);
  device_bf16* to = out + static_cast<std::int64_t>(pixel) * (runs * kRun * 2) + place_of(channel);
  *reinterpret_cast<uint4*>(to) =
      make_uint4(halves[0].upper, halves[1].upper, halves[2].upper, halves[3].upper);
  *reinterpret_cast<uint4*>(to + kSplitGroup) =
      make_uint4(halves[0].lower, halves[1].lower, halves[2].lower, halves[3].lower);
}

__global__ void __launch_bounds__(kThreads)
    split_weight_kernel(const float* weight, int in, int taps, int padded, device_bf16* out,
                        std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const auto channel = static_cast<int>(index % padded);
  const std::int64_t tap = index / padded % taps;
  const std::int64_t column = index / padded / taps;
  const float value = channel < in ? weight[(column * in + channel) * taps + tap] : 0.0F;
  const Halves halves = halves_of(value, 0);
  auto* to = reinterpret_cast<unsigned short*>(out) + (column * taps + tap) * (padded * 2) +
             place_of(static_cast<unsigned>(channel));
  to[0] = static_cast<unsigned short>(halves.upper & 0xffffU);
  to[kSplitGroup] = static_cast<unsigned short>(halves.lower & 0xffffU);
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(ceil_div(count, std::int64_t{kThreads}));
}

}  // namespace

void split_pixels(const TensorView& x, const TensorView& out, Context& context) {
  const std::int64_t runs = out.size(1) / 2 / kRun;
  const std::int64_t count = x.size(0) * runs;
  const auto channels = static_cast<unsigned>(x.size(1));
  const auto kernel = channels % kRun == 0 ? split_pixels_kernel<true> : split_pixels_kernel<false>;
  kernel<<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
      device_pointer<const float>(x), channels, device_pointer<device_bf16>(out),
      static_cast<unsigned>(runs), static_cast<unsigned>(count));
  check_launch("conv3d");
}

TensorView split_weight(const ConvWeight& weight, Context& context) {
  return kept_packed(weight, F32Products::bf16x3, [&] {
    const TensorView& plain = weight.plain;
    const std::int64_t taps = plain.size(2) * plain.size(3) * plain.size(4);
    const std::int64_t places = split_places(plain.size(1));
    Tensor packed(DType::bf16, {plain.size(0), taps * places}, Device::cuda);
    const std::int64_t count = packed->numel() / 2;
    split_weight_kernel<<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
        device_pointer<const float>(plain), static_cast<int>(plain.size(1)), static_cast<int>(taps),
        static_cast<int>(places / 2), device_pointer<device_bf16>(packed), count);
    check_launch("conv3d");
    return packed;
  });
}

}  // namespace sparsevid::ops::cuda
