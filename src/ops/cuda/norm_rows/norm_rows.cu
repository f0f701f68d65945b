// LayerNorm and RMSNorm of rows, with affine weights or modulation, and the rotary embedding.
#include <algorithm>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/norm_rows/aligned_rows.h"
#include "ops/cuda/norm_rows/any_rows.h"
#include "ops/cuda/norms.h"

namespace sparsevid::ops::cuda {
namespace {

using namespace norm_rows;

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
void launch_norms(const NormRows& p, DType in, DType out, std::string_view op,
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
  launch_norms<Statistic::layer>(p, params.x.dtype(), params.out.dtype(), "layer_norm", context);
}

void layer_norm_modulate(const LayerNormModulateParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1), params.epsilon);
  p.scale = device_pointer<const float>(params.scale);
  p.shift = device_pointer<const float>(params.shift);
  p.scale_offset = 1;
  launch_norms<Statistic::layer>(p, params.x.dtype(), params.out.dtype(), "layer_norm_modulate",
                                 context);
}

void rms_norm(const RmsNormParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1), params.epsilon);
  p.scale = device_pointer<const float>(params.weight);
  launch_norms<Statistic::rms>(p, params.x.dtype(), params.out.dtype(), "rms_norm", context);
}

void rms_norm_rope(const RmsNormRopeParams& params, Context& context) {
  NormRows p = rows_of(params.x, params.out, params.x.size(1) * params.x.size(2), params.epsilon);
  p.scale = device_pointer<const float>(params.weight);
  p.cos = device_pointer<const float>(params.cos);
  p.sin = device_pointer<const float>(params.sin);
  p.half_head = static_cast<int>(params.x.size(2) / 2);
  launch_norms<Statistic::rms>(p, params.x.dtype(), params.out.dtype(), "rms_norm_rope", context);
}

}  // namespace sparsevid::ops::cuda
