#include "ops/cpu/copy.h"

#include <array>
#include <cstring>

#include "ops/cpu/pieces.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {
namespace {

// A view of x and out with as few axes as possible: neighbours that both step through without a gap
// are one. The last axis is the inner loop.
struct Loops {
  int rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> size;
  std::array<std::int64_t, Shape::kMaxRank> x_stride;
  std::array<std::int64_t, Shape::kMaxRank> out_stride;
};

Loops merge_axes(const TensorView& x, const TensorView& out) {
  Loops loops;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (x.size(axis) == 1) continue;
    const auto last = static_cast<std::size_t>(loops.rank) - 1;
    if (loops.rank > 0 && loops.x_stride[last] == x.size(axis) * x.stride(axis) &&
        loops.out_stride[last] == out.size(axis) * out.stride(axis)) {
      loops.size[last] *= x.size(axis);
      loops.x_stride[last] = x.stride(axis);
      loops.out_stride[last] = out.stride(axis);
    } else {
      const auto next = static_cast<std::size_t>(loops.rank++);
      loops.size[next] = x.size(axis);
      loops.x_stride[next] = x.stride(axis);
      loops.out_stride[next] = out.stride(axis);
    }
  }
  if (loops.rank == 0) {
    loops.rank = 1;
    loops.size[0] = loops.x_stride[0] = loops.out_stride[0] = 1;
  }
  return loops;
}

template <typename From, typename To>
void strided(const void* x, std::int64_t x_stride, void* out, std::int64_t out_stride,
             std::int64_t count) {
  const auto* from = static_cast<const From*>(x);
  auto* to = static_cast<To*>(out);
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<From, To>) {
      to[i * out_stride] = from[i * x_stride];
    } else if constexpr (std::is_same_v<To, bf16> || std::is_same_v<From, bf16> ||
                         std::is_same_v<From, f16>) {
      to[i * out_stride] = static_cast<To>(static_cast<float>(from[i * x_stride]));
    } else {
      to[i * out_stride] = static_cast<To>(from[i * x_stride]);
    }
  }
}

using Strided = void (*)(const void*, std::int64_t, void*, std::int64_t, std::int64_t);

template <typename From>
Strided strided_from(DType to) {
  switch (to) {
    case DType::f64:
      return strided<From, double>;
    case DType::f32:
      return strided<From, float>;
    case DType::bf16:
      return strided<From, bf16>;
    default:
      return strided<From, From>;
  }
}

Strided strided_loop(DType from, DType to) {
  switch (from) {
    case DType::f64:
      return strided_from<double>(to);
    case DType::f32:
      return strided_from<float>(to);
    case DType::f16:
      return strided_from<f16>(to);
    case DType::bf16:
      return strided_from<bf16>(to);
    case DType::i64:
      return strided_from<std::int64_t>(to);
    case DType::i32:
      return strided_from<std::int32_t>(to);
    case DType::u8:
      return strided_from<std::uint8_t>(to);
  }
  return nullptr;
}

bool has_kernel(DType from, DType to) {
  return (from == DType::f32 || from == DType::bf16 || from == DType::f16) &&
         (to == DType::f32 || to == DType::bf16);
}

}  // namespace

void copy(const CopyParams& params, Context& context) {
  const auto& x = params.x;
  const auto& out = params.out;
  if (x.numel() == 0) return;
  const Loops loops = merge_axes(x, out);
  const auto inner = static_cast<std::size_t>(loops.rank) - 1;
  const bool dense = loops.x_stride[inner] == 1 && loops.out_stride[inner] == 1;
  const Strided strided = strided_loop(x.dtype(), out.dtype());

  // Copies [begin, begin + count) of the inner axis at these offsets of its start.
  const auto copy_inner = [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    if (dense && x.dtype() == out.dtype())
      std::memcpy(address(out, to), address(x, from),
                  static_cast<std::size_t>(count) * size_of(x.dtype()));
    else if (dense && has_kernel(x.dtype(), out.dtype()))
      row_kernels().convert(address(x, from), x.dtype(), address(out, to), out.dtype(), count);
    else
      strided(address(x, from), loops.x_stride[inner], address(out, to), loops.out_stride[inner],
              count);
  };
  if (loops.rank == 1)
    return for_row_pieces(context, loops.size[0], 1, [&](std::int64_t begin, std::int64_t count) {
      copy_inner(begin * loops.x_stride[0], begin * loops.out_stride[0], count);
    });
  const std::int64_t inner_size = loops.size[inner];
  for_row_pieces(context, x.numel() / inner_size, inner_size,
                 [&](std::int64_t begin, std::int64_t count) {
                   for (std::int64_t index = begin; index < begin + count; ++index) {
                     std::int64_t from = 0;
                     std::int64_t to = 0;
                     std::int64_t rest = index;
                     for (std::size_t axis = inner; axis-- > 0;) {
                       from += rest % loops.size[axis] * loops.x_stride[axis];
                       to += rest % loops.size[axis] * loops.out_stride[axis];
                       rest /= loops.size[axis];
                     }
                     copy_inner(from, to, inner_size);
                   }
                 });
}

}  // namespace sparsevid::ops::cpu
