// What the drivers of the attention ops share: views as rows, packed heads, scratch of each thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "base/cpu_features.h"
#include "core/context.h"
#include "core/tensor.h"
#include "ops/cpu/attention_tile.h"

namespace sparsevid::ops::cpu {

/// Why the kernel that needs `isa` cannot run here on inputs of this type; empty when it can.
std::string attention_refusal(CpuIsa isa, DType dtype, double scale);

/// Rows [begin, begin + count) of a [rows, head_dim] view, through `order`, one token for each row,
/// if it is not null. What `order` holds beyond them, up to `order_size`, is read ahead.
AttentionRows attention_rows(const TensorView& matrix, const std::int32_t* order,
                             std::int64_t begin, std::int64_t count, std::int64_t order_size = 0);

/// Keys and values of some heads as the kernel reads them.
struct PackedHeads {
  PackedHeads(const AttentionKernel& kernel, int head_dim, std::int64_t heads,
              std::int64_t groups_per_head, Arena& arena);

  std::byte* keys(std::int64_t head, std::int64_t group = 0) const {
    return keys_ + (head * groups_ + group) * group_bytes_;
  }
  std::byte* values(std::int64_t head, std::int64_t group = 0) const {
    return values_ + (head * groups_ + group) * group_bytes_;
  }
  /// Writes the rows of k and v, the same rows of both, from `group` on.
  void pack(const AttentionRows& k, const AttentionRows& v, std::int64_t head,
            std::int64_t group) const;
  /// Zeros in the groups [begin, end).
  void clear(std::int64_t head, std::int64_t begin, std::int64_t end) const;

 private:
  const AttentionKernel& kernel_;
  int head_dim_;
  std::int64_t groups_;
  std::int64_t group_bytes_;
  std::byte* keys_;
  std::byte* values_;
};

/// The kernel's scratch of each thread.
struct TileScratch {
  TileScratch(const AttentionKernel& kernel, int head_dim, int threads, Arena& arena);
  void* of_thread(int thread) const { return memory_ + static_cast<std::size_t>(thread) * bytes_; }

 private:
  std::size_t bytes_;
  std::byte* memory_;
};

/// Heads to pack and compute together: one, unless that leaves threads without work.
std::int64_t heads_at_once(std::int64_t heads, std::int64_t tiles_per_head, int threads);

/// Rows per tile of `rows` rows in all: the kernel's size, less where threads would be idle.
std::int64_t rows_per_tile(const AttentionKernel& kernel, std::int64_t rows, std::int64_t heads,
                           int threads);

inline constexpr float kMasked = -std::numeric_limits<float>::infinity();
inline constexpr KeyGroup kNoKeys = {0, {kMasked, kMasked}};

/// A list of key groups under construction in memory of the caller's.
struct KeyList {
  KeyGroup* groups;
  std::int64_t count = 0;

  /// `keys` keys from the beginning of group `first` on; their last group may be part empty.
  void add_keys(std::int64_t first, std::int64_t keys, int group) {
    for (std::int64_t left = keys; left > 0; left -= group)
      groups[count++] = {static_cast<std::int32_t>(first++), {0, left > 1 ? 0 : kMasked}};
  }
  void add(const KeyGroup* from, int many) {
    std::copy_n(from, many, groups + count);
    count += many;
  }
  void pad(const AttentionKernel& kernel) {
    while (count % kernel.group_multiple != 0) groups[count++] = kNoKeys;
  }
};

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace sparsevid::ops::cpu
