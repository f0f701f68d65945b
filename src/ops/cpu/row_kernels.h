// The inner loops of the elementwise ops, one set for each instruction set.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "ops/activation_kind.h"

namespace sparsevid::ops::cpu {

/// The norms buffer one row in f32 where it is not f32 already; longer rows are not for them.
constexpr std::int64_t kLongestBufferedRow = 8192;

/// Rows of a matrix: where, of which type (f32 or bf16), how many elements from row to row.
struct Rows {
  void* data;
  DType dtype;
  std::int64_t stride;
};

/// out = (x - mean) / sqrt(variance + epsilon) * (scale_offset + scale) + shift. scale and shift
/// may be null: the factor is then 1, the summand 0.
struct LayerNormRows {
  Rows x;
  Rows out;
  const float* scale;
  const float* shift;
  float scale_offset;
  float epsilon;
  std::int64_t rows;
  std::int64_t dim;
};

/// out = rope(x / sqrt(mean(x^2) + epsilon) * weight). cos and sin, [rows, head_dim / 2], may be
/// null: no rotation.
struct RmsNormRows {
  Rows x;
  Rows out;
  const float* weight;
  const float* cos;
  const float* sin;
  float epsilon;
  std::int64_t rows;
  std::int64_t dim;
  std::int64_t head_dim;
};

/// out = x / max(||x||, 1e-12) * sqrt(dim) * gamma, through SiLU if asked; rows are contiguous.
struct ChannelNormRows {
  const void* x;
  void* out;
  DType dtype;
  const float* gamma;
  bool silu;
  std::int64_t rows;
  std::int64_t dim;
};

struct RowKernels {
  /// f16, bf16 or f32 to bf16 or f32.
  void (*convert)(const void* x, DType from, void* out, DType to, std::int64_t count);
  void (*layer_norm)(const LayerNormRows& args);
  void (*rms_norm)(const RmsNormRows& args);
  void (*channel_norm)(const ChannelNormRows& args);
  /// x += y * gate; gate may be null: 1.
  void (*gated_residual)(void* x, const void* y, const float* gate, DType dtype,
                         std::int64_t count);
  /// out = activation(x) * factor; factor may be null: 1. Not for gelu_erf.
  void (*activate)(const void* x, const void* factor, void* out, DType dtype, Activation kind,
                   std::int64_t count);
  /// out = out * keep + coefficient * x; out is not read when `keep` is 0.
  void (*accumulate)(const float* x, float coefficient, float keep, float* out, std::int64_t count);
  /// out = uncond + scale * (cond - uncond), rounded to bf16 after each operation for bf16.
  void (*guidance)(const void* cond, const void* uncond, float scale, float* out, DType dtype,
                   std::int64_t count);
  /// out[i] = |x - rows[i]|^2, rows [count, dim].
  void (*squared_distances)(const float* x, const float* rows, std::int64_t count, std::int64_t dim,
                            float* out);
  void (*to_rgb8)(const void* x, DType dtype, std::uint8_t* out, std::int64_t count);
};

/// Those for cpu_isa().
const RowKernels& row_kernels();

extern const RowKernels kRowKernelsScalar;
extern const RowKernels kRowKernelsAvx2;
extern const RowKernels kRowKernelsAvx512;

}  // namespace sparsevid::ops::cpu
