// LayerNorm and RMSNorm of rows, with affine weights or modulation, and the rotary embedding.
//
// The problem: [75600, 5120] bf16, 1.55 GB read and written once; scale and shift are f32 rows,
// four
//   times the bytes of a row of x, that every row needs.
// Plan: a block has a thread for each 16 elements of a row and walks over rows. A thread holds its
//   elements in registers, as they come, between the sums and the output, and has those of the next
//   row on their way. Sums are taken in two passes over registers, mean first; the warps exchange
//   them through one barrier each. Scale and shift lie in shared memory, the halves of each 8 in
//   planes of their own, so that 16-byte reads hit all banks. The cosines of a row are asked for
//   before its sums, and once for both halves of a thread's elements where the threads of a block
//   cover whole heads.
// Shared memory: 8 bytes an element, 40 KiB at 5120.
// Bound: memory, for RMSNorm (3.84 TB/s at 5120 elements, with rotation 3.70, where a copy reaches
//   4.19); the work around LayerNorm's two sums bounds it at 3.31 (1536 elements: 3.70).
// Tried, LayerNorm (RMSNorm) at 5120: 8 elements a thread, scale and shift in registers: 2.88
//   (3.64). 40 elements a thread: too few warps, 3.22 (3.39). Fewer registers and more blocks: 48
//   change nothing, 40 spill, 2.69.
// Rows that are not aligned, or longer than 8192, are read once for each sum instead, an element at
// a time.
#include <algorithm>

#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/reduce.h"
#include "ops/cuda/norms.h"

namespace sparsevid::ops::cuda {
namespace {

enum class Statistic { layer, rms };

struct NormRows {
  const void* x;
  void* out;
  const float* scale;  // null: 1
  const float* shift;  // null: 0
  float scale_offset;
  float epsilon;
  std::int64_t rows, dim, x_stride, out_stride;
  const float* cos;  // null: no rotation; [rows, half_head]
  const float* sin;
  int half_head;
};

constexpr int kThreads = 512;  // at most
constexpr int kCount = 8;      // elements that stay together: a unit
constexpr int kUnits = 2;      // of a thread

template <typename In>
struct Unit {
  static constexpr int kWidth = 16 / sizeof(In);
  Pack<In, kWidth> packs[kCount / kWidth];

  __device__ void load(const In* from) {
#pragma unroll
    for (int i = 0; i < kCount / kWidth; ++i) packs[i] = load_once<In, kWidth>(from + i * kWidth);
  }
  __device__ float operator[](int i) const { return to_float(packs[i / kWidth].value[i % kWidth]); }
};

/// The sums of up to 16 warps; those that a block has not stay zero.
struct Partial {
  float4 warps[kThreads / 32 / 4];
};

/// Over a block. `partial` is not to be used again before another barrier.
__device__ inline float sum_warps(float value, Partial& partial) {
  value = sum_lanes(value);
  if (threadIdx.x % 32 == 0) reinterpret_cast<float*>(partial.warps)[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (const float4& four : partial.warps) sum += four.x + four.y + (four.z + four.w);
  return sum;
}

template <typename In, typename Out, Statistic kStatistic, bool kRotate>
__global__ void __launch_bounds__(kThreads) norm_rows_kernel(const NormRows p) {
  constexpr bool kLayer = kStatistic == Statistic::layer;
  extern __shared__ float4 affine[];  // scale's planes, then shift's
  __shared__ Partial partial[2];

  const int units = static_cast<int>(p.dim) / kCount;
  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  for (int i = thread; i < 2 * units; i += threads) {
    const int place = i % 2 * units + i / 2;
    float part[4] = {1, 1, 1, 1};
    if (p.scale != nullptr) {
#pragma unroll
      for (int j = 0; j < 4; ++j) part[j] = p.scale[i * 4 + j] + p.scale_offset;
    }
    affine[place] = make_float4(part[0], part[1], part[2], part[3]);
    if constexpr (kLayer) {
#pragma unroll
      for (int j = 0; j < 4; ++j) part[j] = p.shift != nullptr ? p.shift[i * 4 + j] : 0.0F;
      affine[2 * units + place] = make_float4(part[0], part[1], part[2], part[3]);
    }
  }
  if (thread < 2 * static_cast<int>(sizeof(Partial) / sizeof(float)))
    reinterpret_cast<float*>(partial)[thread] = 0;
  __syncthreads();

  const auto unit_of = [&](int i) { return i * threads + thread; };
  const In* next = static_cast<const In*>(p.x) + blockIdx.x * p.x_stride + thread * kCount;
  Unit<In> ahead[kUnits];
  const auto load_row = [&](std::int64_t row) {
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      ahead[i] = {};
      if (row < p.rows && unit_of(i) < units) ahead[i].load(next + i * threads * kCount);
    }
    next += gridDim.x * p.x_stride;
  };
  load_row(blockIdx.x);

  const bool whole_heads = kRotate && threads * kCount % (2 * p.half_head) == 0;
  Out* out = static_cast<Out*>(p.out) + blockIdx.x * p.out_stride + thread * kCount;
  const float count = static_cast<float>(p.dim);
  int parity = 0;
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    Unit<In> x[kUnits];
#pragma unroll
    for (int i = 0; i < kUnits; ++i) x[i] = ahead[i];
    load_row(row + gridDim.x);

    float cosines[kCount / 2];
    float sines[kCount / 2];
    const auto load_angles = [&](int i) {
      const std::int64_t at = row * p.half_head + unit_of(i) * (kCount / 2) % p.half_head;
      load_floats(p.cos + at, cosines);
      load_floats(p.sin + at, sines);
    };
    if constexpr (kRotate) load_angles(0);

    float mean = 0;
    float squares = 0;
    if constexpr (kLayer) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kUnits; ++i)
#pragma unroll
        for (int j = 0; j < kCount; ++j) sum += x[i][j];
      mean = sum_warps(sum, partial[0]) / count;
#pragma unroll
      for (int i = 0; i < kUnits; ++i)
        if (unit_of(i) < units) {
#pragma unroll
          for (int j = 0; j < kCount; ++j) squares += (x[i][j] - mean) * (x[i][j] - mean);
        }
      squares = sum_warps(squares, partial[1]);
    } else {
#pragma unroll
      for (int i = 0; i < kUnits; ++i)
#pragma unroll
        for (int j = 0; j < kCount; ++j) squares += x[i][j] * x[i][j];
      squares = sum_warps(squares, partial[parity]);
      parity ^= 1;
    }
    const float factor = rsqrtf(squares / count + p.epsilon);

#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      const int unit = unit_of(i);
      if (unit >= units) continue;
      float y[kCount];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float4 scale = affine[half * units + unit];
        const float scales[4] = {scale.x, scale.y, scale.z, scale.w};
#pragma unroll
        for (int j = 0; j < 4; ++j)
          y[half * 4 + j] = (x[i][half * 4 + j] - mean) * factor * scales[j];
        if constexpr (kLayer) {
          const float4 shift = affine[(2 + half) * units + unit];
          const float shifts[4] = {shift.x, shift.y, shift.z, shift.w};
#pragma unroll
          for (int j = 0; j < 4; ++j) y[half * 4 + j] += shifts[j];
        }
      }
      if constexpr (kRotate) {
        if (i > 0 && !whole_heads) load_angles(i);
#pragma unroll
        for (int j = 0; j < kCount; j += 2) {
          const float even = y[j];
          const float odd = y[j + 1];
          y[j] = even * cosines[j / 2] - odd * sines[j / 2];
          y[j + 1] = even * sines[j / 2] + odd * cosines[j / 2];
        }
      }
      store_floats(out + i * threads * kCount, y);
    }
    out += gridDim.x * p.out_stride;
  }
}

constexpr int kAnyThreads = 256;

// In pairs, which is what a rotation needs; an odd last element is a pair of its own.
template <typename In, typename Out, Statistic kStatistic>
__global__ void __launch_bounds__(kAnyThreads) norm_any_rows_kernel(NormRows p) {
  __shared__ float partial[2][32];
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const In* x = static_cast<const In*>(p.x) + row * p.x_stride;
    Out* out = static_cast<Out*>(p.out) + row * p.out_stride;
    const auto count = static_cast<float>(p.dim);
    float mean = 0;
    if constexpr (kStatistic == Statistic::layer) {
      float sum = 0;
      for (std::int64_t i = threadIdx.x; i < p.dim; i += kAnyThreads) sum += to_float(x[i]);
      mean = sum_block(sum, partial[0]) / count;
    }
    float squares = 0;
    for (std::int64_t i = threadIdx.x; i < p.dim; i += kAnyThreads) {
      const float value = to_float(x[i]) - mean;
      squares += value * value;
    }
    const float factor = rsqrtf(sum_block(squares, partial[1]) / count + p.epsilon);
    const auto normed = [&](std::int64_t i) {
      const float scale = p.scale != nullptr ? p.scale[i] + p.scale_offset : 1.0F;
      const float shift = p.shift != nullptr ? p.shift[i] : 0.0F;
      return (to_float(x[i]) - mean) * factor * scale + shift;
    };
    for (std::int64_t i = 2 * threadIdx.x; i < p.dim; i += 2 * kAnyThreads) {
      const float even = normed(i);
      const float odd = i + 1 < p.dim ? normed(i + 1) : 0.0F;
      float cosine = 1;
      float sine = 0;
      if (p.cos != nullptr) {
        const std::int64_t at = row * p.half_head + i / 2 % p.half_head;
        cosine = p.cos[at];
        sine = p.sin[at];
      }
      out[i] = from_float<Out>(even * cosine - odd * sine);
      if (i + 1 < p.dim) out[i + 1] = from_float<Out>(even * sine + odd * cosine);
    }
    __syncthreads();  // `partial` is free again
  }
}

template <typename Kernel>
void launch(Kernel kernel, int threads, int shared_bytes, const NormRows& p, std::string_view op,
            const Context& context) {
  int resident = 0;
  if (shared_bytes > 0)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
          op);
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, threads, shared_bytes),
        op);
  const std::int64_t blocks =
      std::min<std::int64_t>(p.rows, std::max(resident, 1) * device_facts().multiprocessors);
  kernel<<<static_cast<unsigned>(blocks), threads, shared_bytes, stream_of(context)>>>(p);
  check_launch(op);
}

template <typename In, typename Out, Statistic kStatistic, bool kRotate>
void launch_units(const NormRows& p, std::string_view op, const Context& context) {
  const int units = static_cast<int>(p.dim) / kCount;
  const int threads = ceil_div(ceil_div(units, kUnits), 32) * 32;
  const int bytes =
      units * kCount * static_cast<int>(sizeof(float)) * (kStatistic == Statistic::layer ? 2 : 1);
  launch(norm_rows_kernel<In, Out, kStatistic, kRotate>, threads, bytes, p, op, context);
}

bool fits_units(const NormRows& p) {
  return p.dim % kCount == 0 && p.dim / kCount <= kThreads * kUnits && aligned_to(p.x, 16) &&
         p.x_stride % kCount == 0 && aligned_to(p.out, 16) && p.out_stride % kCount == 0 &&
         (p.cos == nullptr ||
          (2 * p.half_head % kCount == 0 && aligned_to(p.cos, 16) && aligned_to(p.sin, 16)));
}

template <Statistic kStatistic>
void norm_rows(const NormRows& p, DType in, DType out, std::string_view op,
               const Context& context) {
  if (p.rows == 0 || p.dim == 0) return;
  with_float_type(in, [&](auto in_element) {
    with_float_type(out, [&](auto out_element) {
      using In = decltype(in_element);
      using Out = decltype(out_element);
      if (!fits_units(p)) {
        launch(norm_any_rows_kernel<In, Out, kStatistic>, kAnyThreads, 0, p, op, context);
        return;
      }
      if constexpr (kStatistic == Statistic::rms && std::is_same_v<In, Out>) {
        if (p.cos != nullptr) return launch_units<In, Out, kStatistic, true>(p, op, context);
      }
      if constexpr (kStatistic == Statistic::layer || std::is_same_v<In, Out>)
        launch_units<In, Out, kStatistic, false>(p, op, context);
    });
  });
}

NormRows rows_of(const TensorView& x, const TensorView& out, std::int64_t dim, double epsilon) {
  NormRows p = {};
  p.x = x.data();
  p.out = out.data();
  p.epsilon = static_cast<float>(epsilon);
  p.rows = x.size(0);
  p.dim = dim;
  p.x_stride = x.stride(0);
  p.out_stride = out.stride(0);
  return p;
}

}  // namespace

void layer_norm(const LayerNormParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1), params.epsilon);
  p.scale = device_pointer<const float>(params.weight);
  p.shift = device_pointer<const float>(params.bias);
  norm_rows<Statistic::layer>(p, params.x.dtype(), params.out.dtype(), "layer_norm", context);
}

void layer_norm_modulate(const LayerNormModulateParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1), params.epsilon);
  p.scale = device_pointer<const float>(params.scale);
  p.shift = device_pointer<const float>(params.shift);
  p.scale_offset = 1;
  norm_rows<Statistic::layer>(p, params.x.dtype(), params.out.dtype(), "layer_norm_modulate",
                              context);
}

void rms_norm(const RmsNormParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1), params.epsilon);
  p.scale = device_pointer<const float>(params.weight);
  norm_rows<Statistic::rms>(p, params.x.dtype(), params.out.dtype(), "rms_norm", context);
}

void rms_norm_rope(const RmsNormRopeParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1) * params.x.size(2), params.epsilon);
  p.scale = device_pointer<const float>(params.weight);
  p.cos = device_pointer<const float>(params.cos);
  p.sin = device_pointer<const float>(params.sin);
  p.half_head = static_cast<int>(params.x.size(2) / 2);
  norm_rows<Statistic::rms>(p, params.x.dtype(), params.out.dtype(), "rms_norm_rope", context);
}

}  // namespace sparsevid::ops::cuda
