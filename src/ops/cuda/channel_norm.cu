// The problem: rows of 96 to 384 channels, up to 32 million of them (the last level of a 480p
//   clip).
// Plan: 2^n lanes share a row, 16 bytes a lane and pack, such that at most 3 packs cover the row:
//   96 channels in bf16 are 4 lanes of 3 packs. Lanes stay in their channels and keep gamma in
//   registers; a group of lanes walks over rows. Sums go through shuffles alone.
// Bound: memory; 48 bytes a thread on their way at 96 channels, 48 KiB for each multiprocessor.
// Tried: the next row on its way as well: 93 registers leave too few warps, 3.35 TB/s where this
//   reached 3.49 with 75.
// Rows that are not of whole packs take a warp each, an element at a time.
#include <algorithm>

#include "ops/cuda/common/activation.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/norms.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostPacks = 3;

struct ChannelNorm {
  const void* x;
  const float* gamma;
  void* out;
  std::int64_t rows;
  int channels;
};

__device__ inline float norm_factor(float squares, int channels) {
  return sqrtf(static_cast<float>(channels)) / fmaxf(sqrtf(squares), 1e-12F);
}

template <bool kSilu>
__device__ inline float finish(float value) {
  return kSilu ? activation<Activation::silu>(value) : value;
}

template <typename T, bool kSilu, int kLanes, int kPacks>
__global__ void __launch_bounds__(kThreads, 4) channel_norm_kernel(ChannelNorm p) {
  constexpr int kWidth = 16 / sizeof(T);
  constexpr int kGroups = kThreads / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  float gamma[kPacks][kWidth];
#pragma unroll
  for (int pack = 0; pack < kPacks; ++pack) {
    const int column = (pack * kLanes + lane) * kWidth;
    if (column < p.channels) load_floats(p.gamma + column, gamma[pack]);
  }
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kGroups + threadIdx.x / kLanes;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kGroups;
  // Whole warps stay together for the shuffles; rows past the end only take part in them.
  const std::int64_t rounds = (p.rows + step - 1) / step;
  for (std::int64_t round = 0; round < rounds; ++round) {
    const std::int64_t row = first + round * step;
    Pack<T, kWidth> packs[kPacks];
#pragma unroll
    for (int pack = 0; pack < kPacks; ++pack) {
      const int column = (pack * kLanes + lane) * kWidth;
      packs[pack] = {};
      if (row < p.rows && column < p.channels)
        packs[pack] = load_once<T, kWidth>(static_cast<const T*>(p.x) + row * p.channels + column);
    }
    float squares = 0;
#pragma unroll
    for (int pack = 0; pack < kPacks; ++pack)
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float value = to_float(packs[pack].value[i]);
        squares += value * value;
      }
    const float factor = norm_factor(sum_lanes<kLanes>(squares), p.channels);
#pragma unroll
    for (int pack = 0; pack < kPacks; ++pack) {
      const int column = (pack * kLanes + lane) * kWidth;
      if (row >= p.rows || column >= p.channels) continue;
      float y[kWidth];
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        y[i] = finish<kSilu>(to_float(packs[pack].value[i]) * factor * gamma[pack][i]);
      store_floats(static_cast<T*>(p.out) + row * p.channels + column, y);
    }
  }
}

template <typename T, bool kSilu>
__global__ void __launch_bounds__(kThreads) channel_norm_any_kernel(ChannelNorm p) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kWarps = kThreads / 32;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
       row < p.rows; row += static_cast<std::int64_t>(gridDim.x) * kWarps) {
    const T* x = static_cast<const T*>(p.x) + row * p.channels;
    T* out = static_cast<T*>(p.out) + row * p.channels;
    float squares = 0;
    for (int i = lane; i < p.channels; i += 32) squares += to_float(x[i]) * to_float(x[i]);
    const float factor = norm_factor(sum_lanes(squares), p.channels);
    for (int i = lane; i < p.channels; i += 32)
      out[i] = from_float<T>(finish<kSilu>(to_float(x[i]) * factor * p.gamma[i]));
  }
}

template <typename Kernel>
void launch(Kernel kernel, int rows_per_block, const ChannelNorm& p, const Context& context) {
  const std::int64_t blocks =
      std::min<std::int64_t>(ceil_div(p.rows, static_cast<std::int64_t>(rows_per_block)),
                             std::int64_t{2048 / kThreads} * device_facts().multiprocessors);
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream_of(context)>>>(p);
  check_launch("channel_norm");
}

template <typename T, bool kSilu, int kLanes>
bool launch_lanes(const ChannelNorm& p, const Context& context) {
  const int packs = p.channels / (16 / static_cast<int>(sizeof(T)));
  if (packs > kMostPacks * kLanes) return false;
  constexpr int kRows = kThreads / kLanes;
  switch (ceil_div(packs, kLanes)) {
    case 1:
      launch(channel_norm_kernel<T, kSilu, kLanes, 1>, kRows, p, context);
      break;
    case 2:
      launch(channel_norm_kernel<T, kSilu, kLanes, 2>, kRows, p, context);
      break;
    default:
      launch(channel_norm_kernel<T, kSilu, kLanes, kMostPacks>, kRows, p, context);
  }
  return true;
}

template <typename T, bool kSilu>
void run(const ChannelNorm& p, const Context& context) {
  constexpr int kWidth = 16 / sizeof(T);
  const bool whole_packs = p.channels % kWidth == 0 && aligned_to(p.x, 16) &&
                           aligned_to(p.out, 16) && aligned_to(p.gamma, 16);
  if (whole_packs &&
      (launch_lanes<T, kSilu, 4>(p, context) || launch_lanes<T, kSilu, 8>(p, context) ||
       launch_lanes<T, kSilu, 16>(p, context) || launch_lanes<T, kSilu, 32>(p, context)))
    return;
  launch(channel_norm_any_kernel<T, kSilu>, kThreads / 32, p, context);
}

}  // namespace

void channel_norm(const ChannelNormParams& params, Context& context) {
  if (params.x.numel() == 0) return;
  const ChannelNorm p = {params.x.data(), device_pointer<const float>(params.gamma),
                         params.out.data(), params.x.size(0), static_cast<int>(params.x.size(1))};
  with_float_type(params.x.dtype(), [&](auto element) {
    using T = decltype(element);
    if (params.silu) {
      run<T, true>(p, context);
    } else {
      run<T, false>(p, context);
    }
  });
}

}  // namespace sparsevid::ops::cuda
