// Loops over independent elements; see row_kernels.h for what they compute.
#pragma once

#include <cstdint>

#include "ops/cpu/row_kernels.h"
#include "ops/cpu/vector_math.h"

namespace sparsevid::ops::cpu {
namespace {

template <typename From, typename To>
void convert_as(const void* x, void* out, std::int64_t count) {
  const auto* from = static_cast<const From*>(x);
  auto* to = static_cast<To*>(out);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) store(to[i], to_float(from[i]));
}

template <typename From>
void convert_from(const void* x, void* out, DType to, std::int64_t count) {
  return to == DType::f32 ? convert_as<From, float>(x, out, count)
                          : convert_as<From, bf16>(x, out, count);
}

void convert(const void* x, DType from, void* out, DType to, std::int64_t count) {
  if (from == DType::f32) return convert_from<float>(x, out, to, count);
  if (from == DType::bf16) return convert_from<bf16>(x, out, to, count);
  return convert_from<f16>(x, out, to, count);
}

template <typename T>
void gated_residual_as(void* x, const void* y, const float* gate, std::int64_t count) {
  auto* sum = static_cast<T*>(x);
  const auto* summand = static_cast<const T*>(y);
  if (gate == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) store(sum[i], to_float(sum[i]) + to_float(summand[i]));
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    store(sum[i], to_float(sum[i]) + to_float(summand[i]) * gate[i]);
}

void gated_residual_rows(void* x, const void* y, const float* gate, DType dtype,
                         std::int64_t count) {
  return dtype == DType::f32 ? gated_residual_as<float>(x, y, gate, count)
                             : gated_residual_as<bf16>(x, y, gate, count);
}

template <typename T, typename Function>
void activate_with(const void* x, const void* factor, void* out, std::int64_t count,
                   Function function) {
  const auto* from = static_cast<const T*>(x);
  const auto* by = static_cast<const T*>(factor);
  auto* to = static_cast<T*>(out);
  if (by == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) store(to[i], function(to_float(from[i])));
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    store(to[i], function(to_float(from[i])) * to_float(by[i]));
}

template <typename T>
void activate_as(const void* x, const void* factor, void* out, Activation kind,
                 std::int64_t count) {
  switch (kind) {
    case Activation::gelu_tanh:
      return activate_with<T>(x, factor, out, count, [](float v) { return gelu_tanh(v); });
    case Activation::silu:
      return activate_with<T>(x, factor, out, count, [](float v) { return silu(v); });
    case Activation::relu:
      return activate_with<T>(x, factor, out, count, [](float v) { return v > 0 ? v : 0.0F; });
    default:
      return activate_with<T>(x, factor, out, count, [](float v) { return v; });
  }
}

void activate_rows(const void* x, const void* factor, void* out, DType dtype, Activation kind,
                   std::int64_t count) {
  return dtype == DType::f32 ? activate_as<float>(x, factor, out, kind, count)
                             : activate_as<bf16>(x, factor, out, kind, count);
}

void accumulate_rows(const float* x, float coefficient, float keep, float* out,
                     std::int64_t count) {
  if (keep == 0) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) out[i] = coefficient * x[i];
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) out[i] = out[i] * keep + coefficient * x[i];
  }
}

void squared_distances(const float* x, const float* rows, std::int64_t count, std::int64_t dim,
                       float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float* row = rows + i * dim;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t d = 0; d < dim; ++d) sum += (x[d] - row[d]) * (x[d] - row[d]);
    out[i] = sum;
  }
}

inline float rounded(float x) {
  bf16 value;
  store(value, x);
  return to_float(value);
}

void guidance_rows(const void* cond, const void* uncond, float scale, float* out, DType dtype,
                   std::int64_t count) {
  if (dtype == DType::f32) {
    const auto* c = static_cast<const float*>(cond);
    const auto* u = static_cast<const float*>(uncond);
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) out[i] = u[i] + scale * (c[i] - u[i]);
  } else {
    const auto* c = static_cast<const bf16*>(cond);
    const auto* u = static_cast<const bf16*>(uncond);
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i)
      out[i] = rounded(to_float(u[i]) + rounded(scale * rounded(to_float(c[i]) - to_float(u[i]))));
  }
}

template <typename T>
void to_rgb8_as(const void* x, std::uint8_t* out, std::int64_t count) {
  const auto* from = static_cast<const T*>(x);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float unit = to_float(from[i]) * 0.5F + 0.5F;
    const float positive = unit > 0 ? unit : 0.0F;
    const float clamped = positive < 1 ? positive : 1.0F;
    out[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(255 * clamped));
  }
}

void to_rgb8_rows(const void* x, DType dtype, std::uint8_t* out, std::int64_t count) {
  return dtype == DType::f32 ? to_rgb8_as<float>(x, out, count) : to_rgb8_as<bf16>(x, out, count);
}

}  // namespace
}  // namespace sparsevid::ops::cpu
