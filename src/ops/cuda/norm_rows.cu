// LayerNorm and RMSNorm of rows, with affine weights or modulation, and the rotary embedding.
//
// The problem: [75600, 5120] bf16, 1.55 GB read and written once; scale and shift are f32 rows,
// four times the bytes of a row of x, that every row needs.
// Plan: a block of few warps takes a few rows. A thread has the same units of 8 elements in each:
//   their scale and shift stay in its registers, and their elements come by cp.async, some rows
//   ahead, into a ring in shared memory that no other thread reads, so that nobody waits for
//   anybody to fill or to empty it. Each pass over a row reads it from there: as floats in
//   registers it would take the place of scale and shift. The sums of LayerNorm are those of a warp
//   about its own mean, which one barrier then puts together (Chan, Golub and LeVeque 1979). Rows
//   of up to 256 elements take 4 to 32 lanes and no barrier.
// Shared memory: 20 to 30 KiB at 5120.
// Bound: memory. At 5120, where a copy reaches 4.23 TB/s on an H200: RMSNorm 4.12, with rotation
//   4.04, LayerNorm 4.05; short rows of 32 to 256 elements 3.6 to 3.8.
// Tried, LayerNorm (RMSNorm) at 5120: a block for a row, 8 elements a thread, scale and shift in
//   registers: 2.88 (3.64); 16 elements, scale and shift in shared memory, two barriers: 3.34
//   (3.87); 40 elements a thread: 3.22 (3.39); this ring in blocks that stay: 3.78 (3.82), filled
//   by bulk copies 3.66 (3.82). Asking of every unit whether the thread has it: LayerNorm 3.59 with
//   8 rows a block, for the loads of units then wait for each other; without, 8: 3.94, 4: 4.05,
//   16: 3.86, 24: 3.82 (RMSNorm 1: 3.81, 2: 4.12, 3: 4.09, 4: 4.04). A ring of 2 or 4 rows: the
//   same.
// Rows that are not aligned, or longer than 8192, are read once for each sum instead, an element at
// a time.
#include <algorithm>

#include "ops/cuda/common/cp_async.h"
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
  // Block b has block_rows rows from b times block_distance on, and goes on by row_step.
  std::int64_t block_distance, block_rows, row_step;
};

constexpr int kUnit = 8;  // elements that stay together
constexpr int kLongest = 8192;

/// How a kernel deals out rows: kLanes lanes of a warp to each, or a block where that is 0, and
/// kUnits units to each of these threads.
template <int kLanes_, int kUnits_>
struct Share {
  static constexpr int kLanes = kLanes_;
  static constexpr int kUnits = kUnits_;
  // Taken where it leaves no lane idle: then nobody has to ask whether a unit is there, and the
  // loads of all units go out before the first is waited for.
  static constexpr bool kFull = kLanes == 0 && kUnits > 2;
  // Scale and shift take 16 registers a unit.
  static constexpr int kMostThreads = kLanes > 0 ? 128 : kUnits > 2 ? 256 : 512;
};

/// Rows that are on their way, the one in work among them.
constexpr int depth_of(Statistic statistic, bool whole_block) {
  return !whole_block ? 4 : statistic == Statistic::layer ? 3 : 2;
}
/// Of a block that takes a row at a time: few, so that blocks come and go as memory allows (blocks
/// that stay and walk down the rows: 3.7 to 3.8 TB/s), but LayerNorm's have twice as much to fetch
/// before the first.
inline std::int64_t rows_of_block(Statistic statistic, std::int64_t dim) {
  constexpr std::int64_t kLayerElements = 20480;
  return statistic == Statistic::layer ? std::clamp<std::int64_t>(kLayerElements / dim, 2, 8) : 2;
}

/// The ring of a thread: places of 16 bytes, those of neighbouring threads side by side.
template <typename In, class Share, bool kRotate>
class Ring {
 public:
  static constexpr int kWidth = 16 / static_cast<int>(sizeof(In));
  static constexpr int kPlaces = Share::kUnits * (kUnit / kWidth) + (kRotate ? 2 : 0);

  __device__ explicit Ring(unsigned char* memory)
      : memory_(memory + 16 * threadIdx.x), step_(16 * static_cast<int>(blockDim.x)) {}

  __device__ void load_unit(int slot, int i, const In* from) const {
#pragma unroll
    for (int part = 0; part < kUnit / kWidth; ++part)
      cp_async_16(shared_address(place(slot, i * (kUnit / kWidth) + part)), from + part * kWidth,
                  true);
  }
  __device__ void load_angles(int slot, const float* cosines, const float* sines) const {
    cp_async_16(shared_address(place(slot, kPlaces - 2)), cosines, true);
    cp_async_16(shared_address(place(slot, kPlaces - 1)), sines, true);
  }

  __device__ void unit(int slot, int i, float (&values)[kUnit]) const {
#pragma unroll
    for (int part = 0; part < kUnit / kWidth; ++part) {
      const auto pack = load_pack<In, kWidth>(
          reinterpret_cast<const In*>(place(slot, i * (kUnit / kWidth) + part)));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) values[part * kWidth + j] = to_float(pack.value[j]);
    }
  }
  __device__ void angles(int slot, float (&cosines)[kUnit / 2], float (&sines)[kUnit / 2]) const {
    load_floats(reinterpret_cast<const float*>(place(slot, kPlaces - 2)), cosines);
    load_floats(reinterpret_cast<const float*>(place(slot, kPlaces - 1)), sines);
  }

 private:
  __device__ unsigned char* place(int slot, int i) const {
    return memory_ + (slot * kPlaces + i) * step_;
  }

  unsigned char* memory_;
  int step_;
};

/// Keeps the compiler from carrying what it read from the ring past this place.
__device__ inline void read_again() { asm volatile("" ::: "memory"); }

template <typename In, typename Out, Statistic kStatistic, bool kRotate, class Share>
__global__ void __launch_bounds__(Share::kMostThreads, 512 / Share::kMostThreads)
    norm_rows_kernel(const NormRows p) {
  constexpr bool kLayer = kStatistic == Statistic::layer;
  constexpr int kUnits = Share::kUnits;
  constexpr bool kWholeBlock = Share::kLanes == 0;
  constexpr int kDepth = depth_of(kStatistic, kWholeBlock);
  constexpr int kSumLanes = kWholeBlock ? 32 : Share::kLanes;
  static_assert(!kRotate || kWholeBlock);
  extern __shared__ __align__(16) unsigned char memory[];
  // Of a warp, about its own mean; and the part of the row's elements that it has.
  __shared__ float2 partial[2][Share::kMostThreads / 32];
  __shared__ float part_of_row[Share::kMostThreads / 32];

  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const int lanes = kWholeBlock ? threads : Share::kLanes;
  const int lane = thread % lanes;
  const int warp = thread / 32;
  const int warps = threads / 32;
  const int units = static_cast<int>(p.dim) / kUnit;
  const float inverse_dim = 1 / static_cast<float>(p.dim);
  const auto unit_of = [&](int i) { return i * lanes + lane; };
  const auto has_unit = [&](int i) { return Share::kFull || unit_of(i) < units; };

  // Before the rows: what is in the first cache waits behind what is not.
  float scale[kUnits][kUnit];
  float shift[kUnits][kUnit];
#pragma unroll
  for (int i = 0; i < kUnits; ++i) {
#pragma unroll
    for (int j = 0; j < kUnit; ++j) {
      scale[i][j] = 1;
      shift[i][j] = 0;
    }
    if (!has_unit(i)) continue;
    const int at = unit_of(i) * kUnit;
    if (p.scale != nullptr) load_floats(p.scale + at, scale[i]);
    if (kLayer && p.shift != nullptr) load_floats(p.shift + at, shift[i]);
  }
  if (kWholeBlock && thread < warps) {
    int count = 0;
    for (int i = 0; i < kUnits; ++i) count += min(max(units - (i * threads + 32 * thread), 0), 32);
    part_of_row[thread] = static_cast<float>(count * kUnit) * inverse_dim;
  }
  if constexpr (kLayer && kWholeBlock) __syncthreads();

  const std::int64_t first = blockIdx.x * p.block_distance;
  const std::int64_t end = min(p.rows, first + p.block_rows);
  std::int64_t row = first + thread / lanes;
  const Ring<In, Share, kRotate> ring(memory);
  const auto load = [&](std::int64_t at, int slot) {
    if (at < end) {
      const In* x = static_cast<const In*>(p.x) + at * p.x_stride;
#pragma unroll
      for (int i = 0; i < kUnits; ++i)
        if (has_unit(i)) ring.load_unit(slot, i, x + unit_of(i) * kUnit);
      if constexpr (kRotate) {
        // The same for all units of a thread: heads do not straddle the block's width.
        const std::int64_t angle = at * p.half_head + lane * (kUnit / 2) % p.half_head;
        ring.load_angles(slot, p.cos + angle, p.sin + angle);
      }
    }
    cp_async_commit();
  };
#pragma unroll
  for (int i = 0; i < kDepth; ++i) load(row + i * p.row_step, i);

  // Only here: adding waits for what was asked for.
  if (p.scale != nullptr) {
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
#pragma unroll
      for (int j = 0; j < kUnit; ++j) scale[i][j] += p.scale_offset;
    }
  }

  int slot = 0;
  int parity = 0;
  // All lanes of a warp stay until its last row is done: they meet in the sums.
  for (std::int64_t top = first; top < end; top += p.row_step, row += p.row_step) {
    cp_async_wait<kDepth - 1>();
    float mean = 0;
    if constexpr (kLayer) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kUnits; ++i) {
        if (!has_unit(i)) continue;
        float x[kUnit];
        ring.unit(slot, i, x);
#pragma unroll
        for (int j = 0; j < kUnit; ++j) sum += x[j];
      }
      mean = sum_lanes<kSumLanes>(sum) * inverse_dim;
      if constexpr (kWholeBlock) mean /= part_of_row[warp];
      read_again();
    }
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      if (!has_unit(i)) continue;
      float x[kUnit];
      ring.unit(slot, i, x);
#pragma unroll
      for (int j = 0; j < kUnit; ++j) squares += (x[j] - mean) * (x[j] - mean);
    }
    float variance = sum_lanes<kSumLanes>(squares) * inverse_dim;
    if constexpr (kWholeBlock) {
      if (thread % 32 == 0) partial[parity][warp] = {mean, variance};
      __syncthreads();
      mean = 0;
      variance = 0;
      if constexpr (kLayer)
        for (int w = 0; w < warps; ++w) mean += part_of_row[w] * partial[parity][w].x;
      for (int w = 0; w < warps; ++w) {
        const float2 of_warp = partial[parity][w];
        const float off = of_warp.x - mean;
        variance += kLayer ? of_warp.y + part_of_row[w] * off * off : of_warp.y;
      }
      parity ^= 1;
    }
    read_again();

    const float factor = rsqrtf(variance + p.epsilon);
    float cosines[kUnit / 2];
    float sines[kUnit / 2];
    if constexpr (kRotate) ring.angles(slot, cosines, sines);
    Out* out = static_cast<Out*>(p.out) + row * p.out_stride;
#pragma unroll
    for (int i = 0; i < kUnits; ++i) {
      if (!has_unit(i) || (!kWholeBlock && row >= end)) continue;
      float x[kUnit];
      ring.unit(slot, i, x);
      float y[kUnit];
#pragma unroll
      for (int j = 0; j < kUnit; ++j)
        y[j] = kLayer ? (x[j] - mean) * factor * scale[i][j] + shift[i][j]
                      : x[j] * factor * scale[i][j];
      if constexpr (kRotate) {
#pragma unroll
        for (int j = 0; j < kUnit; j += 2) {
          const float even = y[j];
          const float odd = y[j + 1];
          y[j] = even * cosines[j / 2] - odd * sines[j / 2];
          y[j + 1] = even * sines[j / 2] + odd * cosines[j / 2];
        }
      }
      store_floats(out + unit_of(i) * kUnit, y);
    }
    load(row + kDepth * p.row_step, slot);
    slot = slot + 1 == kDepth ? 0 : slot + 1;
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
void launch(Kernel kernel, std::int64_t blocks, int threads, int shared_bytes, const NormRows& p,
            std::string_view op, const Context& context) {
  kernel<<<static_cast<unsigned>(blocks), threads, shared_bytes, stream_of(context)>>>(p);
  check_launch(op);
}

/// Blocks of a kernel that fit on the GPU at a time.
template <typename Kernel>
std::int64_t resident_blocks(Kernel kernel, int threads, int shared_bytes, std::string_view op) {
  int resident = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, threads, shared_bytes),
        op);
  return std::int64_t{std::max(resident, 1)} * device_facts().multiprocessors;
}

/// False where the kernel does not take these rows.
template <typename In, typename Out, Statistic kStatistic, bool kRotate, class Share>
bool try_launch(NormRows p, std::string_view op, const Context& context) {
  constexpr bool kWholeBlock = Share::kLanes == 0;
  const int units = static_cast<int>(p.dim) / kUnit;
  const int threads =
      kWholeBlock ? ceil_div(ceil_div(units, Share::kUnits), 32) * 32 : Share::kMostThreads;
  const int bytes =
      16 * Ring<In, Share, kRotate>::kPlaces * depth_of(kStatistic, kWholeBlock) * threads;
  if (threads > Share::kMostThreads || bytes > device_facts().shared_memory_per_block) return false;
  if (kRotate && threads * kUnit % (2 * p.half_head) != 0) return false;
  const auto kernel = norm_rows_kernel<In, Out, kStatistic, kRotate, Share>;
  allow_shared_memory(kernel, bytes, op);
  std::int64_t blocks;
  if constexpr (kWholeBlock) {
    p.block_distance = p.block_rows = rows_of_block(kStatistic, p.dim);
    p.row_step = 1;
    blocks = ceil_div(p.rows, p.block_rows);
  } else {
    p.block_distance = threads / Share::kLanes;
    p.block_rows = p.rows;
    blocks =
        std::min(ceil_div(p.rows, p.block_distance), resident_blocks(kernel, threads, bytes, op));
    p.row_step = blocks * p.block_distance;
  }
  launch(kernel, blocks, threads, bytes, p, op, context);
  return true;
}

template <typename In, typename Out, Statistic kStatistic, bool kRotate>
bool launch_units(const NormRows& p, std::string_view op, const Context& context) {
  if (p.dim % kUnit != 0 || p.dim > kLongest || !aligned_to(p.scale, 16) ||
      !aligned_to(p.shift, 16) || !aligned_to(p.x, 16) || p.x_stride % kUnit != 0 ||
      !aligned_to(p.out, 16) || p.out_stride % kUnit != 0)
    return false;
  if (kRotate && (2 * p.half_head % kUnit != 0 || !aligned_to(p.cos, 16) || !aligned_to(p.sin, 16)))
    return false;
  const auto run = [&](auto share) {
    return try_launch<In, Out, kStatistic, kRotate, decltype(share)>(p, op, context);
  };
  // What models compute in, in the share that leaves no lane idle.
  if constexpr (sizeof(In) == 2 && sizeof(Out) == 2) {
    if constexpr (!kRotate) {
      if (p.dim <= 4 * kUnit) return run(Share<4, 1>());
      if (p.dim <= 8 * kUnit) return run(Share<8, 1>());
      if (p.dim <= 16 * kUnit) return run(Share<16, 1>());
      if (p.dim <= 32 * kUnit) return run(Share<32, 1>());
    }
    if (p.dim % (5 * 32 * kUnit) == 0 && run(Share<0, 5>())) return true;
    if (p.dim % (3 * 32 * kUnit) == 0 && run(Share<0, 3>())) return true;
  }
  return run(Share<0, 2>());
}

template <Statistic kStatistic>
void norm_rows(const NormRows& p, DType in, DType out, std::string_view op,
               const Context& context) {
  if (p.rows == 0 || p.dim == 0) return;
  with_float_type(in, [&](auto in_element) {
    with_float_type(out, [&](auto out_element) {
      using In = decltype(in_element);
      using Out = decltype(out_element);
      if constexpr (kStatistic == Statistic::layer) {
        if (launch_units<In, Out, kStatistic, false>(p, op, context)) return;
      } else if constexpr (std::is_same_v<In, Out>) {
        if (p.cos != nullptr ? launch_units<In, Out, kStatistic, true>(p, op, context)
                             : launch_units<In, Out, kStatistic, false>(p, op, context))
          return;
      }
      const auto kernel = norm_any_rows_kernel<In, Out, kStatistic>;
      launch(kernel, std::min(p.rows, resident_blocks(kernel, kAnyThreads, 0, op)), kAnyThreads, 0,
             p, op, context);
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
