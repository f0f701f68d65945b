// Loops of the norms over long rows; see row_kernels.h for what they compute. A row of bf16 is
// turned to f32 once, in a buffer that stays in the first-level cache, and back once.
#pragma once

#include <cstdint>
#include <type_traits>

#include "ops/cpu/row_kernels.h"
#include "ops/cpu/vector_math.h"

namespace sparsevid::ops::cpu {
namespace {

/// Summed as distances from the first element, which are small where the mean is large.
inline float mean_of(const float* x, std::int64_t count) {
  const float first = x[0];
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += x[i] - first;
  return first + sum / static_cast<float>(count);
}

inline float squared_distance(const float* x, float center, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += (x[i] - center) * (x[i] - center);
  return sum;
}

template <typename From, typename To>
void convert_row(const From* from, To* to, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) store(to[i], to_float(from[i]));
}

/// Calls function(row, const float* x, float* out) for each row; x may be out.
template <typename In, typename Out, typename Function>
void for_float_rows(const Rows& x, const Rows& out, std::int64_t rows, std::int64_t dim,
                    Function function) {
  alignas(64) float buffer[kLongestBufferedRow];
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto* from = static_cast<const In*>(x.data) + row * x.stride;
    auto* to = static_cast<Out*>(out.data) + row * out.stride;
    if constexpr (std::is_same_v<In, float> && std::is_same_v<Out, float>) {
      function(row, from, to);
    } else {
      convert_row(from, buffer, dim);
      function(row, buffer, buffer);
      convert_row(buffer, to, dim);
    }
  }
}

template <typename Function>
void for_rows(const Rows& x, const Rows& out, std::int64_t rows, std::int64_t dim,
              Function function) {
  if (x.dtype == DType::f32)
    return out.dtype == DType::f32 ? for_float_rows<float, float>(x, out, rows, dim, function)
                                   : for_float_rows<float, bf16>(x, out, rows, dim, function);
  return out.dtype == DType::f32 ? for_float_rows<bf16, float>(x, out, rows, dim, function)
                                 : for_float_rows<bf16, bf16>(x, out, rows, dim, function);
}

void layer_norm_rows(const LayerNormRows& args) {
  const std::int64_t dim = args.dim;
  for_rows(args.x, args.out, args.rows, dim, [&](std::int64_t, const float* x, float* out) {
    const float mean = mean_of(x, dim);
    const float variance = squared_distance(x, mean, dim) / static_cast<float>(dim);
    const float factor = 1 / __builtin_sqrtf(variance + args.epsilon);
    const float* scale = args.scale;
    const float* shift = args.shift;
    const float offset = args.scale_offset;
    if (scale != nullptr && shift != nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < dim; ++i)
        out[i] = (x[i] - mean) * factor * (offset + scale[i]) + shift[i];
    } else {
      for (std::int64_t i = 0; i < dim; ++i)
        out[i] = (x[i] - mean) * factor * (scale != nullptr ? offset + scale[i] : 1.0F) +
                 (shift != nullptr ? shift[i] : 0.0F);
    }
  });
}

void rms_norm_rows(const RmsNormRows& args) {
  const std::int64_t dim = args.dim;
  const std::int64_t head_dim = args.head_dim;
  const float* weight = args.weight;
  for_rows(args.x, args.out, args.rows, dim, [&](std::int64_t row, const float* x, float* out) {
    const float mean = squared_distance(x, 0, dim) / static_cast<float>(dim);
    const float factor = 1 / __builtin_sqrtf(mean + args.epsilon);
    if (args.cos == nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < dim; ++i) out[i] = x[i] * factor * weight[i];
      return;
    }
    const float* cos = args.cos + row * (head_dim / 2);
    const float* sin = args.sin + row * (head_dim / 2);
    for (std::int64_t head = 0; head < dim; head += head_dim) {
#pragma omp simd
      for (std::int64_t pair = 0; pair < head_dim / 2; ++pair) {
        const std::int64_t i = head + 2 * pair;
        const float even = x[i] * factor * weight[i];
        const float odd = x[i + 1] * factor * weight[i + 1];
        out[i] = even * cos[pair] - odd * sin[pair];
        out[i + 1] = even * sin[pair] + odd * cos[pair];
      }
    }
  });
}

}  // namespace
}  // namespace sparsevid::ops::cpu
