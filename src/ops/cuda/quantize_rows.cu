// The problem: [75600, 5120] bf16 to fp8: 1.16 GB.
// Plan: a block for each row, which holds it in registers between the maximum and the output, 16
//   elements a thread, or 32 where a row has more than 8192; 8 of them are one 8-byte store.
// Bound: memory.
// Rows that are not aligned, or longer than 16384, are read twice, an element at a time.
#include <cuda_fp8.h>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/quantize_rows.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr float kLargest = 448;
constexpr int kThreads = 512;  // at most
constexpr int kCount = 8;      // elements that stay together
constexpr int kMostUnits = 4;  // of a thread

struct QuantizeRows {
  const void* x;
  std::uint8_t* out;
  float* scale;
  std::int64_t dim, x_stride, out_stride;
};

/// The largest of a block of whole warps.
__device__ inline float largest_of_block(float value, float (&partial)[32]) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, distance));
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) value = fmaxf(value, partial[warp]);
  return value;
}

/// Writes the row's scale and gives what its elements are multiplied with.
__device__ inline float settle_scale(const QuantizeRows& p, float largest) {
  if (threadIdx.x == 0) p.scale[blockIdx.x] = largest > 0 ? __fdiv_rn(largest, kLargest) : 1.0F;
  return largest > 0 ? __fdiv_rn(kLargest, largest) : 1.0F;
}

template <typename In, int kUnits>
__global__ void __launch_bounds__(kThreads) quantize_rows_kernel(const QuantizeRows p) {
  constexpr int kWidth = 16 / sizeof(In);
  constexpr int kPacks = kCount / kWidth;
  __shared__ float partial[32];
  const In* x = static_cast<const In*>(p.x) + blockIdx.x * p.x_stride;
  Pack<In, kWidth> packs[kUnits][kPacks];
  float largest = 0;
#pragma unroll
  for (int unit = 0; unit < kUnits; ++unit) {
    const std::int64_t column = static_cast<std::int64_t>(unit * blockDim.x + threadIdx.x) * kCount;
#pragma unroll
    for (int pack = 0; pack < kPacks; ++pack) {
      packs[unit][pack] = {};
      if (column < p.dim) packs[unit][pack] = load_once<In, kWidth>(x + column + pack * kWidth);
    }
  }
#pragma unroll
  for (int unit = 0; unit < kUnits; ++unit)
#pragma unroll
    for (int pack = 0; pack < kPacks; ++pack)
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        largest = fmaxf(largest, fabsf(to_float(packs[unit][pack].value[i])));
  const float inverse = settle_scale(p, largest_of_block(largest, partial));
#pragma unroll
  for (int unit = 0; unit < kUnits; ++unit) {
    const std::int64_t column = static_cast<std::int64_t>(unit * blockDim.x + threadIdx.x) * kCount;
    if (column >= p.dim) continue;
    unsigned short pairs[kCount / 2];
#pragma unroll
    for (int i = 0; i < kCount; i += 2) {
      const Pack<In, kWidth>& pack = packs[unit][i / kWidth];
      pairs[i / 2] =
          __nv_cvt_float2_to_fp8x2(make_float2(to_float(pack.value[i % kWidth]) * inverse,
                                               to_float(pack.value[i % kWidth + 1]) * inverse),
                                   __NV_SATFINITE, __NV_E4M3);
    }
    *reinterpret_cast<uint2*>(p.out + blockIdx.x * p.out_stride + column) =
        make_uint2(pairs[0] | static_cast<unsigned>(pairs[1]) << 16,
                   pairs[2] | static_cast<unsigned>(pairs[3]) << 16);
  }
}

constexpr int kAnyThreads = 256;

template <typename In>
__global__ void __launch_bounds__(kAnyThreads) quantize_any_rows_kernel(const QuantizeRows p) {
  __shared__ float partial[32];
  const In* x = static_cast<const In*>(p.x) + blockIdx.x * p.x_stride;
  std::uint8_t* out = p.out + blockIdx.x * p.out_stride;
  float largest = 0;
  for (std::int64_t i = threadIdx.x; i < p.dim; i += kAnyThreads)
    largest = fmaxf(largest, fabsf(to_float(x[i])));
  const float inverse = settle_scale(p, largest_of_block(largest, partial));
  for (std::int64_t i = threadIdx.x; i < p.dim; i += kAnyThreads)
    out[i] = __nv_cvt_float_to_fp8(to_float(x[i]) * inverse, __NV_SATFINITE, __NV_E4M3);
}

}  // namespace

void quantize_rows(const QuantizeRowsParams& params, Context& context) {
  const auto& [x, out, scale] = params;
  if (x.numel() == 0) return;
  const QuantizeRows p = {x.data(),
                          device_pointer<std::uint8_t>(out),
                          device_pointer<float>(scale),
                          x.size(1),
                          x.stride(0),
                          out.stride(0)};
  const auto rows = static_cast<unsigned>(x.size(0));
  const bool whole = p.dim % kCount == 0 && p.dim <= kThreads * kMostUnits * kCount &&
                     aligned_to(p.x, 16) && p.x_stride % kCount == 0 && aligned_to(p.out, 8) &&
                     p.out_stride % kCount == 0;
  with_float_type(x.dtype(), [&](auto element) {
    using In = decltype(element);
    if (whole) {
      const auto run = [&](auto tag) {
        constexpr int kUnits = decltype(tag)::value;
        const int threads =
            static_cast<int>(ceil_div(p.dim, std::int64_t{32} * kUnits * kCount)) * 32;
        quantize_rows_kernel<In, kUnits><<<rows, threads, 0, stream_of(context)>>>(p);
      };
      if (p.dim <= kThreads * 2 * kCount) {
        run(std::integral_constant<int, 2>());
      } else {
        run(std::integral_constant<int, kMostUnits>());
      }
    } else {
      quantize_any_rows_kernel<In><<<rows, kAnyThreads, 0, stream_of(context)>>>(p);
    }
  });
  check_launch("quantize_rows");
}

}  // namespace sparsevid::ops::cuda
