// Plan: a thread for each element in the order of what is written; latents are a few megabytes,
// once a step.
#include "ops/cuda/patches.h"

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;

struct Patches {
  std::int64_t stride[4];  // of the video: channels, frames, height, width
  std::int64_t row_stride;
  int channels, frames, height, width;
  int pt, ph, pw;
};

__device__ inline std::int64_t video_offset(const Patches& p, int c, int t, int h, int w) {
  return c * p.stride[0] + t * p.stride[1] + h * p.stride[2] + w * p.stride[3];
}

template <typename Out>
__global__ void __launch_bounds__(kThreads)
    patchify_kernel(Patches p, const float* video, Out* out, std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const int columns = p.channels * p.pt * p.ph * p.pw;
  const std::int64_t row = index / columns;
  const auto column = static_cast<int>(index - row * columns);
  int rest = column;
  const int in_w = rest % p.pw;
  rest /= p.pw;
  const int in_h = rest % p.ph;
  rest /= p.ph;
  const int in_t = rest % p.pt;
  const int c = rest / p.pt;
  const int across = p.width / p.pw;
  const int down = p.height / p.ph;
  const auto patch = static_cast<int>(row);
  const int w = patch % across * p.pw + in_w;
  const int h = patch / across % down * p.ph + in_h;
  const int t = patch / across / down * p.pt + in_t;
  out[row * p.row_stride + column] = from_float<Out>(video[video_offset(p, c, t, h, w)]);
}

template <typename In, typename Out>
__global__ void __launch_bounds__(kThreads)
    unpatchify_kernel(Patches p, const In* rows, Out* video, std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  std::int64_t rest = index;
  const auto w = static_cast<int>(rest % p.width);
  rest /= p.width;
  const auto h = static_cast<int>(rest % p.height);
  rest /= p.height;
  const auto t = static_cast<int>(rest % p.frames);
  const auto c = static_cast<int>(rest / p.frames);
  const std::int64_t row =
      (static_cast<std::int64_t>(t / p.pt) * (p.height / p.ph) + h / p.ph) * (p.width / p.pw) +
      w / p.pw;
  const int column = ((t % p.pt * p.ph + h % p.ph) * p.pw + w % p.pw) * p.channels + c;
  video[video_offset(p, c, t, h, w)] = from_float<Out>(to_float(rows[row * p.row_stride + column]));
}

Patches describe(const TensorView& video, const TensorView& rows, const std::array<int, 3>& patch) {
  Patches p = {};
  for (int axis = 0; axis < 4; ++axis) p.stride[axis] = video.stride(axis);
  p.row_stride = rows.stride(0);
  p.channels = static_cast<int>(video.size(0));
  p.frames = static_cast<int>(video.size(1));
  p.height = static_cast<int>(video.size(2));
  p.width = static_cast<int>(video.size(3));
  p.pt = patch[0];
  p.ph = patch[1];
  p.pw = patch[2];
  return p;
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(ceil_div(count, std::int64_t{kThreads}));
}

}  // namespace

void patchify(const PatchifyParams& params, Context& context) {
  const std::int64_t count = params.video.numel();
  if (count == 0) return;
  with_float_type(params.out.dtype(), [&](auto element) {
    using Out = decltype(element);
    patchify_kernel<<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
        describe(params.video, params.out, params.patch), device_pointer<const float>(params.video),
        device_pointer<Out>(params.out), count);
  });
  check_launch("patchify");
}

void unpatchify(const UnpatchifyParams& params, Context& context) {
  const std::int64_t count = params.video.numel();
  if (count == 0) return;
  with_float_type(params.rows.dtype(), [&](auto in_element) {
    with_float_type(params.video.dtype(), [&](auto out_element) {
      using In = decltype(in_element);
      using Out = decltype(out_element);
      unpatchify_kernel<<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
          describe(params.video, params.rows, params.patch), device_pointer<const In>(params.rows),
          device_pointer<Out>(params.video), count);
    });
  });
  check_launch("unpatchify");
}

}  // namespace sparsevid::ops::cuda
