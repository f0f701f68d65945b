// The tensors of an attention op as the kernels of this folder take them, and which they refuse.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "ops/cuda/attention_mma/row_tile.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

constexpr int kWidestMmaHead = 128;

/// Rows of all heads, of which tiles are loaded.
struct HeadTileRows {
  device_bf16* data;
  std::int64_t head_stride;
  std::int64_t stride;

  __device__ TileRows head(std::int64_t index) const {
    return {data + index * head_stride, static_cast<int>(stride * 2)};
  }
};

inline HeadTileRows head_tile_rows(const TensorView& view) {
  return {device_pointer<device_bf16>(view), view.stride(0), view.stride(1)};
}

/// Whether every row begins at 16 bytes.
inline bool has_aligned_rows(const TensorView& view) {
  return aligned_to(view.data(), 16) && (view.size(0) <= 1 || view.stride(0) % 8 == 0) &&
         (view.size(1) <= 1 || view.stride(1) % 8 == 0);
}

/// Why rows of bf16 in chunks of 16 bytes and mma.sync cannot do it; `widest` is the head_dim that
/// is not too wide.
inline std::string mma_refusal(const TensorView& q, const TensorView& k, const TensorView& v,
                               const TensorView& out, double scale, int widest) {
  if (q.dtype() != DType::bf16) return fmt::format("is for bf16, not {}", to_string(q.dtype()));
  if (device_facts().compute_capability < 80) return "needs compute capability 8.0";
  if (!(scale > 0)) return fmt::format("scale {}", scale);  // the largest logit is scaled last
  if (q.size(2) % 8 != 0 || q.size(2) > widest) return fmt::format("head_dim {}", q.size(2));
  for (const TensorView* view : {&q, &k, &v, &out})
    if (view->numel() > 0 && !has_aligned_rows(*view)) return "rows not aligned to 16 bytes";
  for (const TensorView* view : {&q, &k, &v})
    if (view->size(1) > 1 && std::abs(view->stride(1)) > INT32_MAX / 2) return "rows too far apart";
  constexpr std::int64_t kLongest = std::int64_t{1} << 29;  // tokens are counted in int
  if (q.size(1) > kLongest || k.size(1) > kLongest) return "sequence too long";
  return {};
}

}  // namespace sparsevid::ops::cuda
