// Plan: a thread reads up to 16 bytes of one pixel and writes them to four. Bound: memory.
#include "ops/cuda/upsample_nearest.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

template <typename Piece>
__global__ void __launch_bounds__(kThreads)
    upsample_kernel(const Piece* x, Piece* out, std::int64_t pieces, int width, int per_pixel) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= pieces) return;
  const Piece piece = x[index];
  const std::int64_t row_pieces = static_cast<std::int64_t>(width) * per_pixel;
  const std::int64_t row = index / row_pieces;  // of all frames: a row of x is two rows of out
  const auto in_row = static_cast<int>(index - row * row_pieces);
  const int pixel = in_row / per_pixel;
  Piece* to = out + 4 * row * row_pieces + static_cast<std::int64_t>(2 * pixel) * per_pixel +
              (in_row - pixel * per_pixel);
  to[0] = piece;
  to[per_pixel] = piece;
  to[2 * row_pieces] = piece;
  to[2 * row_pieces + per_pixel] = piece;
}

template <typename Piece>
bool launch(const UpsampleNearestParams& params, const Context& context) {
  const std::int64_t bytes =
      params.x.size(3) * static_cast<std::int64_t>(size_of(params.x.dtype()));
  constexpr std::int64_t kBytes = sizeof(Piece);
  if (bytes % kBytes != 0 || !aligned_to(params.x.data(), kBytes) ||
      !aligned_to(params.out.data(), kBytes))
    return false;
  const std::int64_t pieces =
      params.x.size(0) * params.x.size(1) * params.x.size(2) * (bytes / kBytes);
  upsample_kernel<<<static_cast<unsigned>(ceil_div(pieces, std::int64_t{kThreads})), kThreads, 0,
                    stream_of(context)>>>(
      device_pointer<const Piece>(params.x), device_pointer<Piece>(params.out), pieces,
      static_cast<int>(params.x.size(2)), static_cast<int>(bytes / kBytes));
  check_launch("upsample_nearest");
  return true;
}

}  // namespace

void upsample_nearest(const UpsampleNearestParams& params, Context& context) {
  if (params.x.numel() == 0) return;
  launch<uint4>(params, context) || launch<unsigned>(params, context) ||
      launch<unsigned short>(params, context);
}

}  // namespace sparsevid::ops::cuda
