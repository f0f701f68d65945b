// Starts the kernel of kernel.h: which sides a tile of pixels has, and how many columns.
#include "ops/cuda/conv3d_hopper/conv3d.h"

#include <algorithm>
#include <array>
#include <limits>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"
#include "ops/cuda/conv3d/problem.h"
#include "ops/cuda/conv3d_hopper/kernel.h"

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

template <int kColumns>
void launch(const TensorView& x, const TensorView& packed, ConvTiles p, const Context& context) {
  const int taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  p.column_tiles = ceil_div(p.columns, kColumns);
  p.pixel_pairs = ceil_div(p.frames * p.tiles_down * p.tiles_across, kCluster);
  const CUtensorMap x_map = box_map(x, {kDepth, p.tile_width, p.tile_height, 1});
  const TensorView by_tap(packed.data(), packed.dtype(), {packed.size(0), taps, p.channels},
                          Shape{packed.size(1), p.channels, 1}, packed.device());
  const CUtensorMap weight_map = box_map(by_tap, {kDepth, 1, kColumns / kCluster});
  constexpr int kBytes = sizeof(Shared<kColumns>) + 1024;  // stages want an alignment of 1024
  allow_shared_memory(conv_kernel<kColumns>, kBytes, "conv3d");
  const int clusters =
      std::min(p.pixel_pairs * p.column_tiles, device_facts().multiprocessors / kCluster);
  conv_kernel<kColumns>
      <<<static_cast<unsigned>(clusters * kCluster), kThreads, kBytes, stream_of(context)>>>(
          x_map, weight_map, p);
  check_launch("conv3d");
}

}  // namespace

std::string conv3d_hopper_refusal(const Conv3dParams& params, const Context&) {
  if (device_facts().compute_capability != 90) return "compute capability 9.0 only";
  if (params.x.dtype() != DType::bf16) return "bf16 only";
  if (params.stride != std::array<int, 3>{1, 1, 1}) return "no strides";
  if (params.x.size(3) % kHalfDepth != 0) return "channels are no multiple of 32";
  if (params.out.size(3) <= kConvNarrowColumns || params.out.size(3) % 8 != 0)
    return "few columns, or no multiple of 8";
  if (!aligned_to(params.x.data(), 16) || !aligned_to(params.out.data(), 16) ||
      !aligned_to(params.bias.data(), 8))
    return "not aligned to 16 bytes";
  return {};
}

void conv3d_hopper(const Conv3dParams& params, Context& context) {
  if (params.out.numel() == 0) return;
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
  const TensorView packed = packed_weight(*params.weight, p.channels, context);
  if (p.columns > kConvWideColumns) {
    launch<2 * kConvWideColumns>(params.x, packed, p, context);
  } else {
    launch<kConvWideColumns>(params.x, packed, p, context);
  }
}

}  // namespace sparsevid::ops::cuda
