// Starts the kernel of kernel.h: which sides a tile of pixels has, and how many columns.
#include "ops/cuda/conv3d_hopper/conv3d.h"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"
#include "ops/cuda/conv3d/problem.h"
#include "ops/cuda/conv3d_hopper/kernel.h"
#include "ops/cuda/conv3d_hopper/split.h"

namespace sparsevid::ops::cuda {
namespace {

using namespace conv;

/// The sides of 256 pixels that cover a frame with the fewest tiles.
void choose_tile(ConvTiles& p) {
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  for (const int height : {16, 8, 32, 4, 64, 2, 128}) {
    const int width = kPixels / height;
    const int down = ceil_div(p.height, height);
    const int across = ceil_div(p.width, width);
    if (static_cast<std::int64_t>(down) * across >= fewest) continue;
    fewest = static_cast<std::int64_t>(down) * across;
    p.tile_height = height;
    p.tile_width = width;
    p.tiles_down = down;
    p.tiles_across = across;
  }
}

/// `packed` [columns or more, taps * places or more]; both in the form that the factors read.
template <int kColumns, class Factors>
void launch(const TensorView& x, const TensorView& packed, ConvTiles p, const Context& context) {
  const int taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  p.column_tiles = ceil_div(p.columns, kColumns);
  p.pixel_pairs = ceil_div(p.frames * p.tiles_down * p.tiles_across, kCluster);
  constexpr int kBox = Factors::kDepth * Factors::kPlaces;
  const CUtensorMap x_map = box_map(x, {kBox, p.tile_width, p.tile_height, 1});
  const std::int64_t places = x.size(3);
  const TensorView by_tap(packed.data(), packed.dtype(), {packed.size(0), taps, places},
                          Shape{packed.size(1), places, 1}, packed.device());
  const CUtensorMap weight_map = box_map(by_tap, {kBox, 1, kColumns / kCluster});
  constexpr int kBytes = sizeof(Shared<kColumns>) + 1024;  // stages want an alignment of 1024
  const auto kernel = conv_kernel<kColumns, Factors>;
  allow_shared_memory(kernel, kBytes, "conv3d");
  const int clusters =
      std::min(p.pixel_pairs * p.column_tiles, device_facts().multiprocessors / kCluster);
  kernel<<<static_cast<unsigned>(clusters * kCluster), kThreads, kBytes, stream_of(context)>>>(
      x_map, weight_map, p);
  check_launch("conv3d");
}

template <class Factors>
void launch_for_columns(const TensorView& x, const TensorView& packed, const ConvTiles& p,
                        const Context& context) {
  if (p.columns > kConvWideColumns) {
    launch<2 * kConvWideColumns, Factors>(x, packed, p, context);
    return;
  }
  // bf16 has another kernel for few columns.
  if constexpr (std::is_same_v<typename Factors::Out, float>) {
    if (p.columns <= kFewColumns) {
      launch<kFewColumns, Factors>(x, packed, p, context);
      return;
    }
  }
  launch<kConvWideColumns, Factors>(x, packed, p, context);
}

ConvTiles tiles_of(const Conv3dParams& params) {
  const TensorView& weight = params.weight->plain;
  ConvTiles p = {};
  p.out = params.out.data();
  p.bias = device_pointer<const float>(params.bias);
  p.frames = static_cast<int>(params.out.size(0));
  p.height = static_cast<int>(params.out.size(1));
  p.width = static_cast<int>(params.out.size(2));
  p.columns = static_cast<int>(params.out.size(3));
  p.channels = static_cast<int>(params.x.size(3));
  for (int axis = 0; axis < 3; ++axis) {
    p.kernel[axis] = static_cast<int>(weight.size(axis + 2));
    p.pad[axis] = params.pad_begin[static_cast<std::size_t>(axis)];
  }
  choose_tile(p);
  return p;
}

std::string refusal_of_any(const Conv3dParams& params) {
  if (device_facts().compute_capability != 90) return "compute capability 9.0 only";
  if (params.stride != std::array<int, 3>{1, 1, 1}) return "no strides";
  if (!aligned_to(params.x.data(), 16) || !aligned_to(params.out.data(), 16) ||
      !aligned_to(params.bias.data(), 8))
    return "not aligned to 16 bytes";
  return {};
}

std::string refusal_of_f32(const Conv3dParams& params, F32Products products) {
  if (params.x.dtype() != DType::f32) return "f32 only";
  if (params.weight->products != products) return "the weight asks for other products";
  if (params.out.size(3) > kFewColumns && params.out.size(3) % 2 != 0)
    return "many columns, and an odd number";
  return refusal_of_any(params);
}

/// Of pixels as they are.
template <class Factors>
void convolve(const Conv3dParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  const ConvTiles p = tiles_of(params);
  launch_for_columns<Factors>(params.x, packed_weight(*params.weight, p.channels, context), p,
                              context);
}

}  // namespace

std::string conv3d_hopper_refusal(const Conv3dParams& params, const Context&) {
  if (params.x.dtype() != DType::bf16) return "bf16 only";
  if (params.x.size(3) % (Bf16Factors::kDepth / 2) != 0) return "channels are no multiple of 32";
  if (params.out.size(3) <= kConvNarrowColumns || params.out.size(3) % 8 != 0)
    return "few columns, or no multiple of 8";
  return refusal_of_any(params);
}

void conv3d_hopper(const Conv3dParams& params, Context& context) {
  convolve<Bf16Factors>(params, context);
}

std::string conv3d_hopper_tf32_refusal(const Conv3dParams& params, const Context&) {
  if (params.x.size(3) % 4 != 0) return "channels are no multiple of 4";
  return refusal_of_f32(params, F32Products::tf32);
}

void conv3d_hopper_tf32(const Conv3dParams& params, Context& context) {
  convolve<Tf32Factors>(params, context);
}

std::string conv3d_hopper_bf16x3_refusal(const Conv3dParams& params, const Context&) {
  const TensorView& x = params.x;
  if (x.numel() / x.size(3) * split_places(x.size(3)) > std::numeric_limits<int>::max())
    return "more elements than 32 bits count";
  return refusal_of_f32(params, F32Products::bf16x3);
}

void conv3d_hopper_bf16x3(const Conv3dParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  const Arena::Scope scope(context.arena);
  const TensorView& x = params.x;
  const std::int64_t pixels = x.size(0) * x.size(1) * x.size(2);
  const std::int64_t places = split_places(x.size(3));
  const TensorView split =
      context.arena.tensor(DType::bf16, {x.size(0), x.size(1), x.size(2), places});
  split_pixels(x.reshape({pixels, x.size(3)}), split.reshape({pixels, places}), context);
  ConvTiles p = tiles_of(params);
  p.channels = static_cast<int>(places / Bf16x3Factors::kPlaces);
  launch_for_columns<Bf16x3Factors>(split, split_weight(*params.weight, context), p, context);
}

}  // namespace sparsevid::ops::cuda
