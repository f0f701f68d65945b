#include "ops/cuda/conv3d.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <mutex>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/conv3d/problem.h"

namespace sparsevid::ops::cuda {
namespace {

std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
  return ceil_div(value, multiple) * multiple;
}

std::int64_t taps_of(const TensorView& weight) {
  return weight.size(2) * weight.size(3) * weight.size(4);
}

/// A weight may be used by implementations that want it in different forms: the last one stays.
struct PackedWeight {
  Tensor tensor;
  F32Products form;
};

}  // namespace

TensorView kept_packed(const ConvWeight& weight, F32Products form,
                       const std::function<Tensor()>& make) {
  static std::mutex creation;
  const std::lock_guard lock(creation);
  const auto kept = std::static_pointer_cast<PackedWeight>(weight.packed);
  if (kept && kept->form == form) return kept->tensor;
  const auto made = std::make_shared<PackedWeight>(PackedWeight{make(), form});
  weight.packed = made;
  return made->tensor;
}

TensorView packed_weight(const ConvWeight& weight, int channels, Context& context) {
  return kept_packed(weight, F32Products::exact, [&] {
    const TensorView& plain = weight.plain;
    const bool bf16 = plain.dtype() == DType::bf16;
    const std::int64_t out = plain.size(0);
    const std::int64_t tile = !bf16                       ? kConvColumnsF32
                              : out <= kConvNarrowColumns ? kConvNarrowColumns
                                                          : kConvWideColumns;
    const std::int64_t depth = bf16 ? kConvDepthBf16 : kConvDepthF32;
    Tensor packed(plain.dtype(),
                  {rounded_up(out, tile), rounded_up(taps_of(plain) * channels, depth)},
                  Device::cuda);
    pack_conv_weight(plain, channels, packed, context);
    return packed;
  });
}

std::string conv3d_refusal(const Conv3dParams& params, const Context&) {
  const std::int64_t taps = taps_of(params.weight->plain);
  if (taps > kMostTaps) return fmt::format("{} taps, more than {}", taps, kMostTaps);
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  if (params.x.numel() / params.x.size(3) * rounded_up(params.x.size(3), kConvChannelsBf16) >
          kMost ||
      params.out.numel() / params.out.size(3) > kMost)
    return "more elements than 32 bits count";
  return {};
}

void conv3d(const Conv3dParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const TensorView& weight = params.weight->plain;
  const bool bf16 = params.x.dtype() == DType::bf16;
  TensorView x = params.x;
  if (bf16 && x.size(3) % kConvChannelsBf16 != 0) {
    const std::int64_t pixels = x.size(0) * x.size(1) * x.size(2);
    const std::int64_t channels = rounded_up(x.size(3), kConvChannelsBf16);
    x = context.arena.tensor(DType::bf16, {x.size(0), x.size(1), x.size(2), channels});
    pad_channels(params.x.reshape({pixels, params.x.size(3)}), x.reshape({pixels, channels}),
                 context);
  }
  const auto channels = static_cast<int>(x.size(3));
  const TensorView packed = packed_weight(*params.weight, channels, context);
  ConvProblem p = {};
  p.x = x.data();
  p.weight = packed.data();
  p.bias = static_cast<const float*>(params.bias.data());
  p.out = params.out.data();
  p.frames = static_cast<int>(x.size(0));
  p.height = static_cast<int>(x.size(1));
  p.width = static_cast<int>(x.size(2));
  p.channels = channels;
  p.out_frames = static_cast<int>(params.out.size(0));
  p.out_height = static_cast<int>(params.out.size(1));
  p.out_width = static_cast<int>(params.out.size(2));
  p.columns = static_cast<int>(params.out.size(3));
  for (int axis = 0; axis < 3; ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    p.kernel[axis] = static_cast<int>(weight.size(axis + 2));
    p.stride[axis] = params.stride[i];
    p.pad[axis] = params.pad_begin[i];
  }
  p.taps = static_cast<int>(taps_of(weight));
  p.packed_row = static_cast<int>(packed.size(1));
  p.pixels = params.out.numel() / params.out.size(3);
  if (bf16) {
    conv3d_bf16(p, context);
  } else {
    conv3d_f32(p, context);
  }
}

}  // namespace sparsevid::ops::cuda
