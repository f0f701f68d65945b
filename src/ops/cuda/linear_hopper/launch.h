// Starts product_kernel for a problem.
#pragma once

#include <algorithm>

#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"
#include "ops/cuda/linear_hopper/product.h"

namespace sparsevid::ops::cuda {

template <bool kFp8, typename Out, Activation kActivation>
void launch_product(const TensorView& x, const TensorView& weight, ProductProblem p,
                    std::string_view op, const Context& context) {
  using namespace product;
  constexpr int kStepElements = kRowBytes / (kFp8 ? 1 : 2);
  p.rows = x.size(0);
  p.columns = static_cast<int>(weight.size(0));
  p.steps = ceil_div(static_cast<int>(x.size(1)), kStepElements);
  p.row_pairs = static_cast<int>(ceil_div(p.rows, std::int64_t{kCluster * kRows}));
  p.column_tiles = ceil_div(p.columns, kColumns);
  const CUtensorMap x_map = matrix_map(x, kRows);
  const CUtensorMap weight_map = matrix_map(weight, kColumns / kCluster);
  const auto kernel = product_kernel<kFp8, Out, kActivation>;
  allow_shared_memory(kernel, kSharedBytes, op);
  const int clusters =
      std::min(p.row_pairs * p.column_tiles, device_facts().multiprocessors / kCluster);
  kernel<<<static_cast<unsigned>(clusters * kCluster), kThreads, kSharedBytes,
           stream_of(context)>>>(x_map, weight_map, p);
  check_launch(op);
}

template <bool kFp8>
void launch_product(const TensorView& x, const TensorView& weight, const ProductProblem& p,
                    DType out, Activation kind, std::string_view op, const Context& context) {
  with_float_type(out, [&](auto element) {
    using Out = decltype(element);
    if (kind == Activation::gelu_tanh) {
      launch_product<kFp8, Out, Activation::gelu_tanh>(x, weight, p, op, context);
    } else {
      launch_product<kFp8, Out, Activation::none>(x, weight, p, op, context);
    }
  });
}

/// Why the kernel cannot take these; empty when it can.
inline std::string product_refusal(const TensorView& x, const TensorView& weight,
                                   const TensorView& bias, const TensorView& out, Activation kind) {
  if (device_facts().compute_capability != 90) return "compute capability 9.0 only";
  if (kind != Activation::none && kind != Activation::gelu_tanh)
    return "no activation but GELU (tanh)";
  const std::int64_t row_bytes = x.stride(0) * static_cast<std::int64_t>(size_of(x.dtype()));
  const std::int64_t in_bytes = x.size(1) * static_cast<std::int64_t>(size_of(x.dtype()));
  if (row_bytes % 16 != 0 || in_bytes % 16 != 0 || out.stride(0) % 8 != 0 || out.size(1) % 8 != 0)
    return "rows are no multiples of 16 bytes";
  for (const TensorView* view : {&x, &weight, &bias, &out})
    if (!aligned_to(view->data(), 16)) return "not aligned to 16 bytes";
  return {};
}

}  // namespace sparsevid::ops::cuda
