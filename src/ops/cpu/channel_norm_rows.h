// The norm over the channels of pixels, whose rows are short: a block of them at a time, so that
// square roots, SiLU and roundings run over whole vectors. See row_kernels.h.
#pragma once

#include <cstdint>

#include "ops/cpu/norm_rows.h"
#include "ops/cpu/row_kernels.h"
#include "ops/cpu/vector_math.h"

namespace sparsevid::ops::cpu {
namespace {

constexpr std::int64_t kBlockElements = 4096;

// kDim: the number of channels where it is known while compiling, else 0.
template <std::int64_t kDim>
void scale_rows(float* x, const float* gamma, std::int64_t rows, std::int64_t runtime_dim) {
  const std::int64_t dim = kDim != 0 ? kDim : runtime_dim;
  float factor[kBlockElements];
  for (std::int64_t row = 0; row < rows; ++row)
    factor[row] = squared_distance(x + row * dim, 0, dim);
  const float root = __builtin_sqrtf(static_cast<float>(dim));
#pragma omp simd
  for (std::int64_t row = 0; row < rows; ++row) {
    const float length = __builtin_sqrtf(factor[row]);
    factor[row] = root / (length > 1e-12F ? length : 1e-12F);
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    float* pixel = x + row * dim;
    const float by = factor[row];
#pragma omp simd
    for (std::int64_t i = 0; i < dim; ++i) pixel[i] *= by * gamma[i];
  }
}

void scale_block(float* x, const float* gamma, std::int64_t rows, std::int64_t dim) {
  switch (dim) {
    case 16:
      return scale_rows<16>(x, gamma, rows, dim);
    case 32:
      return scale_rows<32>(x, gamma, rows, dim);
    case 64:
      return scale_rows<64>(x, gamma, rows, dim);
    case 96:
      return scale_rows<96>(x, gamma, rows, dim);
    default:
      return scale_rows<0>(x, gamma, rows, dim);
  }
}

template <typename T>
void channel_norm_as(const ChannelNormRows& args) {
  alignas(64) float block[kLongestBufferedRow];
  const std::int64_t most = args.dim >= kBlockElements ? 1 : kBlockElements / args.dim;
  for (std::int64_t begin = 0; begin < args.rows; begin += most) {
    const std::int64_t rows = args.rows - begin < most ? args.rows - begin : most;
    const std::int64_t count = rows * args.dim;
    const auto* x = static_cast<const T*>(args.x) + begin * args.dim;
    auto* out = static_cast<T*>(args.out) + begin * args.dim;
    convert_row(x, block, count);
    scale_block(block, args.gamma, rows, args.dim);
    if (args.silu) {
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) store(out[i], silu(block[i]));
    } else {
      convert_row(block, out, count);
    }
  }
}

void channel_norm_rows(const ChannelNormRows& args) {
  return args.dtype == DType::f32 ? channel_norm_as<float>(args) : channel_norm_as<bf16>(args);
}

}  // namespace
}  // namespace sparsevid::ops::cpu
