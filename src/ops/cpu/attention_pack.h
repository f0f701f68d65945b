// Rows of queries, keys and values into the layouts that the attention tile reads. Included only by
// the kernels' own files, each compiled for its instruction set; so it uses nothing of the standard
// library that another file could end up sharing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cpu/attention_tile.h"

namespace sparsevid::ops::cpu {
namespace {

inline float float_of(float x) { return x; }
inline float float_of(std::uint16_t x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
}

/// Round to nearest even; a NaN becomes some NaN or infinity.
inline std::uint16_t bf16_of(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}
inline std::uint16_t bf16_of(std::uint16_t x) { return x; }

template <bool kBf16>
struct Element;
template <>
struct Element<true> {
  using Type = std::uint16_t;
  template <typename Source>
  static Type of(Source x) {
    return bf16_of(x);
  }
};
template <>
struct Element<false> {
  using Type = float;
  template <typename Source>
  static Type of(Source x) {
    return float_of(x);
  }
};

inline std::int64_t row_offset(const AttentionRows& rows, int i) {
  return (rows.order == nullptr ? i : rows.order[i]) * rows.stride;
}

template <bool kBf16, typename Source>
void copy_row(const Source* from, int size, int padded, typename Element<kBf16>::Type* to) {
  constexpr int kStep = 16;
  int d = 0;
  for (; d + kStep <= size; d += kStep)
    for (int i = 0; i < kStep; ++i) to[d + i] = Element<kBf16>::of(from[d + i]);
  for (; d < size; ++d) to[d] = Element<kBf16>::of(from[d]);
  for (; d < padded; ++d) to[d] = 0;
}

/// Asks for row `i`, which an order may have put anywhere.
inline void prefetch_row(const AttentionRows& rows, int i, int size) {
  if (rows.order == nullptr || i >= rows.count + rows.following) return;
  const int element = rows.is_bf16 ? 2 : 4;
  const char* row = static_cast<const char*>(rows.data) + row_offset(rows, i) * element;
  constexpr int kLine = 64;
  for (int byte = 0; byte < size * element; byte += kLine) __builtin_prefetch(row + byte);
}

/// How many rows ahead of their use.
constexpr int kRowsAhead = 16;

/// Row i of `rows`, converted, zeros behind it.
template <bool kBf16>
void read_row(const AttentionRows& rows, int i, int size, int padded,
              typename Element<kBf16>::Type* to) {
  prefetch_row(rows, i + kRowsAhead, size);
  if (rows.is_bf16) {
    copy_row<kBf16>(static_cast<const std::uint16_t*>(rows.data) + row_offset(rows, i), size,
                    padded, to);
  } else {
    copy_row<kBf16>(static_cast<const float*>(rows.data) + row_offset(rows, i), size, padded, to);
  }
}

/// The float row `from` into row i of `rows`, in their type.
inline void write_row(const AttentionRows& rows, int i, int size, const float* from) {
  if (rows.is_bf16) {
    auto* to = static_cast<std::uint16_t*>(const_cast<void*>(rows.data)) + row_offset(rows, i);
    for (int d = 0; d < size; ++d) to[d] = bf16_of(from[d]);
  } else {
    auto* to = static_cast<float*>(const_cast<void*>(rows.data)) + row_offset(rows, i);
    for (int d = 0; d < size; ++d) to[d] = from[d];
  }
}

/// Packed keys: row after row.
template <bool kBf16, int kMultiple>
void pack_keys(const AttentionRows& rows, int head_dim, void* packed) {
  constexpr int kGroup = kBf16 ? 2 : 1;
  const int padded = (head_dim + kMultiple - 1) / kMultiple * kMultiple;
  auto* to = static_cast<typename Element<kBf16>::Type*>(packed);
  for (int i = 0; i < rows.count; ++i, to += padded) read_row<kBf16>(rows, i, head_dim, padded, to);
  if (rows.count % kGroup != 0)
    for (int d = 0; d < padded; ++d) to[d] = 0;
}

template <typename Source>
void pair_rows(const Source* first, const Source* second, int size, int padded, std::uint32_t* to) {
  if (second != nullptr) {
    for (int d = 0; d < size; ++d)
      to[d] = bf16_of(first[d]) | static_cast<std::uint32_t>(bf16_of(second[d])) << 16;
  } else {
    for (int d = 0; d < size; ++d) to[d] = bf16_of(first[d]);
  }
  for (int d = size; d < padded; ++d) to[d] = 0;
}

template <typename Source>
void pack_pairs(const AttentionRows& rows, int head_dim, int padded, std::uint32_t* to) {
  const auto* data = static_cast<const Source*>(rows.data);
  for (int i = 0; i < rows.count; i += 2, to += padded) {
    prefetch_row(rows, i + kRowsAhead, head_dim);
    prefetch_row(rows, i + 1 + kRowsAhead, head_dim);
    const Source* second = i + 1 < rows.count ? data + row_offset(rows, i + 1) : nullptr;
    pair_rows(data + row_offset(rows, i), second, head_dim, padded, to);
  }
}

/// Packed values: f32 rows, or for bf16 pairs of rows, the two elements of a column side by side.
template <bool kBf16, int kMultiple>
void pack_values(const AttentionRows& rows, int head_dim, void* packed) {
  if constexpr (kBf16) {
    const int padded = (head_dim + kMultiple - 1) / kMultiple * kMultiple;
    auto* to = static_cast<std::uint32_t*>(packed);
    if (rows.is_bf16) {
      pack_pairs<std::uint16_t>(rows, head_dim, padded, to);
    } else {
      pack_pairs<float>(rows, head_dim, padded, to);
    }
  } else {
    pack_keys<kBf16, kMultiple>(rows, head_dim, packed);
  }
}

}  // namespace
}  // namespace sparsevid::ops::cpu
