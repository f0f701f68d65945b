// What both kernels of norms over rows take.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda::norm_rows {

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

}  // namespace sparsevid::ops::cuda::norm_rows
