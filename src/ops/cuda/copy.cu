// The problem: any strides on both sides, any of the contract's types on both sides.
// Plan: axes that lie behind each other on both sides are merged first, and those of one element
//   dropped. Then, in this order,
//   - nothing but one contiguous axis and one type: the runtime's copy;
//   - the last axis contiguous on both sides: a thread for each 16 bytes of a row, or for fewer
//     where alignment asks for it;
//   - another axis contiguous on one side: tiles of 32 x 32 through shared memory, so that both
//     sides move whole lines;
//   - else a thread for each element.
//   The second has f32 to bf16 and back among its types, the last has all; the others only move.
// Shared memory: one tile, 32 rows of 33 elements.
// Bound: memory.
#include "ops/cuda/copy.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32;

/// Merged axes, the last the fastest in `out`'s order of extents.
struct Axes {
  int rank = 0;
  std::int64_t size[Shape::kMaxRank];
  std::int64_t from[Shape::kMaxRank];  // strides
  std::int64_t to[Shape::kMaxRank];
};

Axes merged(const TensorView& x, const TensorView& out) {
  Axes axes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (x.size(axis) == 1) continue;
    const int last = axes.rank - 1;
    if (last >= 0 && axes.from[last] == x.size(axis) * x.stride(axis) &&
        axes.to[last] == x.size(axis) * out.stride(axis)) {
      axes.size[last] *= x.size(axis);
      axes.from[last] = x.stride(axis);
      axes.to[last] = out.stride(axis);
    } else {
      axes.size[axes.rank] = x.size(axis);
      axes.from[axes.rank] = x.stride(axis);
      axes.to[axes.rank] = out.stride(axis);
      ++axes.rank;
    }
  }
  if (axes.rank == 0) {
    axes.size[0] = 1;
    axes.from[0] = axes.to[0] = 1;
    axes.rank = 1;
  }
  return axes;
}

/// The offsets of the element at a position counted over the first `rank` axes.
__device__ inline void locate(const Axes& axes, int rank, std::int64_t position, std::int64_t& from,
                              std::int64_t& to) {
  from = 0;
  to = 0;
#pragma unroll
  for (int axis = Shape::kMaxRank - 1; axis >= 0; --axis) {
    if (axis >= rank) continue;
    std::int64_t at = position;
    if (axis > 0) {
      // Positions of most tensors fit into 32 bits, where division is several times faster.
      if (position <= 0xffffffffLL && axes.size[axis] <= 0xffffffffLL) {
        const auto narrow = static_cast<unsigned>(position);
        const auto size = static_cast<unsigned>(axes.size[axis]);
        position = narrow / size;
        at = narrow % size;
      } else {
        at = position % axes.size[axis];
        position /= axes.size[axis];
      }
    }
    from += at * axes.from[axis];
    to += at * axes.to[axis];
  }
}

/// As the reference does it: through double where float would not hold the value.
template <typename To, typename From>
__device__ inline To converted(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, device_bf16> || std::is_same_v<From, __half>) {
    return converted<To>(to_float(value));
  } else if constexpr (std::is_same_v<To, device_bf16>) {
    return from_float<device_bf16>(converted<float>(value));
  } else if constexpr (std::is_same_v<To, float> && sizeof(From) == 8) {
    return static_cast<float>(static_cast<double>(value));
  } else {
    return static_cast<To>(value);
  }
}

/// `axes` counts packs in its last axis.
template <typename From, typename To, int kWidth>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(Axes axes, const From* x, To* out, std::int64_t packs) {
  const std::int64_t position = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (position >= packs) return;
  std::int64_t from;
  std::int64_t to;
  locate(axes, axes.rank, position, from, to);
  const Pack<From, kWidth> in = load_once<From, kWidth>(x + from);
  if constexpr (std::is_same_v<From, To>) {
    store_pack(out + to, in);
  } else {
    float values[kWidth];
    unpack(in, values);
    store_floats(out + to, values);
  }
}

template <typename From, typename To>
__global__ void __launch_bounds__(kThreads)
    elements_kernel(Axes axes, const From* x, To* out, std::int64_t count) {
  const std::int64_t position = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (position >= count) return;
  std::int64_t from;
  std::int64_t to;
  locate(axes, axes.rank, position, from, to);
  out[to] = converted<To>(x[from]);
}

/// Exchanges the last axis (contiguous in `out`) and the one before it (contiguous in `x`); the
/// axes before those are counted by blockIdx.z.
template <typename T>
__global__ void __launch_bounds__(kThreads) tiles_kernel(Axes axes, const T* x, T* out) {
  __shared__ T tile[kTile][kTile + 1];
  constexpr int kRows = kThreads / kTile;
  const int last = axes.rank - 1;
  std::int64_t from;
  std::int64_t to;
  locate(axes, axes.rank - 2, blockIdx.z, from, to);
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int first = static_cast<int>(threadIdx.x) / kTile;
  const std::int64_t a0 = static_cast<std::int64_t>(blockIdx.x) * kTile;  // contiguous in x
  const std::int64_t b0 = static_cast<std::int64_t>(blockIdx.y) * kTile;  // contiguous in out
#pragma unroll
  for (int i = first; i < kTile; i += kRows)
    if (b0 + i < axes.size[last] && a0 + lane < axes.size[last - 1])
      tile[i][lane] = x[from + (b0 + i) * axes.from[last] + a0 + lane];
  __syncthreads();
#pragma unroll
  for (int i = first; i < kTile; i += kRows)
    if (a0 + i < axes.size[last - 1] && b0 + lane < axes.size[last])
      out[to + (a0 + i) * axes.to[last - 1] + b0 + lane] = tile[lane][i];
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(ceil_div(count, std::int64_t{kThreads}));
}

std::int64_t numel(const Axes& axes) {
  std::int64_t count = 1;
  for (int axis = 0; axis < axes.rank; ++axis) count *= axes.size[axis];
  return count;
}

template <typename From, typename To, int kWidth>
bool copy_rows(const Axes& axes, const TensorView& x, const TensorView& out,
               const Context& context) {
  const int last = axes.rank - 1;
  if (axes.from[last] != 1 || axes.to[last] != 1) return false;
  constexpr std::size_t kOutBytes = kWidth * sizeof(To) < 16 ? kWidth * sizeof(To) : 16;
  if (axes.size[last] % kWidth != 0 || !aligned_to(x.data(), kWidth * sizeof(From)) ||
      !aligned_to(out.data(), kOutBytes))
    return false;
  Axes packs = axes;
  packs.size[last] /= kWidth;
  packs.from[last] = packs.to[last] = kWidth;
  for (int axis = 0; axis < last; ++axis)
    if (axes.from[axis] % kWidth != 0 || axes.to[axis] % kWidth != 0) return false;
  const std::int64_t count = numel(packs);
  rows_kernel<From, To, kWidth><<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
      packs, device_pointer<const From>(x), device_pointer<To>(out), count);
  return true;
}

/// The axes with those that `tiles_kernel` exchanges in the last two places, if there are such.
bool order_for_tiles(Axes& axes) {
  int in_x = -1;
  int in_out = -1;
  for (int axis = 0; axis < axes.rank; ++axis) {
    if (axes.from[axis] == 1) in_x = axis;
    if (axes.to[axis] == 1) in_out = axis;
  }
  if (in_x < 0 || in_out < 0 || in_x == in_out) return false;
  const auto swap_axes = [&](int a, int b) {
    std::swap(axes.size[a], axes.size[b]);
    std::swap(axes.from[a], axes.from[b]);
    std::swap(axes.to[a], axes.to[b]);
  };
  swap_axes(in_out, axes.rank - 1);
  if (in_x == axes.rank - 1) in_x = in_out;
  swap_axes(in_x, axes.rank - 2);
  return true;
}

template <typename T>
bool copy_tiles(Axes axes, const TensorView& x, const TensorView& out, const Context& context) {
  if (!order_for_tiles(axes)) return false;
  const std::int64_t a = axes.size[axes.rank - 2];
  const std::int64_t b = axes.size[axes.rank - 1];
  const std::int64_t batch = numel(axes) / (a * b);
  constexpr std::int64_t kMostBlocks = 65535;
  const std::int64_t b_tiles = ceil_div(b, std::int64_t{kTile});
  if (a < 8 || b < 8 || batch > kMostBlocks || b_tiles > kMostBlocks) return false;
  const dim3 grid(static_cast<unsigned>(ceil_div(a, std::int64_t{kTile})),
                  static_cast<unsigned>(b_tiles), static_cast<unsigned>(batch));
  tiles_kernel<<<grid, kThreads, 0, stream_of(context)>>>(axes, device_pointer<const T>(x),
                                                          device_pointer<T>(out));
  return true;
}

/// T: an integer of the element's size.
template <typename T>
void move(const Axes& axes, const TensorView& x, const TensorView& out, const Context& context) {
  if (axes.rank == 1 && axes.from[0] == 1 && axes.to[0] == 1) {
    check(cudaMemcpyAsync(out.data(), x.data(), x.bytes(), cudaMemcpyDeviceToDevice,
                          stream_of(context)),
          "copy");
    return;
  }
  constexpr int kMost = 16 / sizeof(T);
  if (copy_rows<T, T, kMost>(axes, x, out, context)) return;
  if constexpr (sizeof(T) <= 4) {
    if (copy_rows<T, T, kMost / 4>(axes, x, out, context)) return;
  }
  if (copy_tiles<T>(axes, x, out, context)) return;
  const std::int64_t count = numel(axes);
  elements_kernel<<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
      axes, device_pointer<const T>(x), device_pointer<T>(out), count);
}

template <typename From, typename To>
void convert(const Axes& axes, const TensorView& x, const TensorView& out, const Context& context) {
  if constexpr (std::is_same_v<From, To>) {
    return;  // `move` has done it
  } else {
    if constexpr ((std::is_same_v<From, float> && std::is_same_v<To, device_bf16>) ||
                  (std::is_same_v<From, device_bf16> && std::is_same_v<To, float>)) {
      if (copy_rows<From, To, 16 / sizeof(From)>(axes, x, out, context)) return;
    }
    const std::int64_t count = numel(axes);
    elements_kernel<<<blocks_for(count), kThreads, 0, stream_of(context)>>>(
        axes, device_pointer<const From>(x), device_pointer<To>(out), count);
  }
}

template <typename From>
void convert_from(const Axes& axes, const TensorView& x, const TensorView& out,
                  const Context& context) {
  switch (out.dtype()) {
    case DType::f64:
      return convert<From, double>(axes, x, out, context);
    case DType::f32:
      return convert<From, float>(axes, x, out, context);
    case DType::bf16:
      return convert<From, device_bf16>(axes, x, out, context);
    default:
      fail(ErrorKind::internal, "copy: {} cannot become {}", to_string(x.dtype()),
           to_string(out.dtype()));
  }
}

}  // namespace

void copy(const CopyParams& params, Context& context) {
  const auto& [x, out] = params;
  if (x.numel() == 0) return;
  const Axes axes = merged(x, out);
  if (x.dtype() == out.dtype()) {
    switch (size_of(x.dtype())) {
      case 8:
        move<unsigned long long>(axes, x, out, context);
        break;
      case 4:
        move<unsigned>(axes, x, out, context);
        break;
      case 2:
        move<unsigned short>(axes, x, out, context);
        break;
      default:
        move<unsigned char>(axes, x, out, context);
    }
  } else {
    switch (x.dtype()) {
      case DType::f64:
        convert_from<double>(axes, x, out, context);
        break;
      case DType::f32:
        convert_from<float>(axes, x, out, context);
        break;
      case DType::f16:
        convert_from<__half>(axes, x, out, context);
        break;
      case DType::bf16:
        convert_from<device_bf16>(axes, x, out, context);
        break;
      case DType::i64:
        convert_from<long long>(axes, x, out, context);
        break;
      case DType::i32:
        convert_from<int>(axes, x, out, context);
        break;
      case DType::u8:
        convert_from<unsigned char>(axes, x, out, context);
        break;
    }
  }
  check_launch("copy");
}

}  // namespace sparsevid::ops::cuda
