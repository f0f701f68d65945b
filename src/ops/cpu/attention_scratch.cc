#include "ops/cpu/attention_scratch.h"

#include <fmt/format.h>

namespace sparsevid::ops::cpu {
namespace {

constexpr std::size_t kAlignment = 64;

/// Tiles that each thread should get at least, so that the last ones finish together.
constexpr std::int64_t kTilesPerThread = 8;
constexpr std::int64_t kSmallestTile = 64;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::string attention_refusal(CpuIsa isa, DType dtype, double scale) {
  if (cpu_isa() < isa)
    return fmt::format("needs {}, may use {}", to_string(isa), to_string(cpu_isa()));
  if (dtype != DType::bf16 && isa >= CpuIsa::avx512_bf16)
    return fmt::format("is for bf16, not {}", to_string(dtype));
  constexpr double kSmallestScale = 1e-6;  // biases are divided by it
  if (!(scale >= kSmallestScale)) return fmt::format("scale {}", scale);
  return {};
}

AttentionRows attention_rows(const TensorView& matrix, const std::int32_t* order,
                             std::int64_t begin, std::int64_t count, std::int64_t order_size) {
  AttentionRows rows;
  rows.stride = matrix.stride(0);
  rows.count = static_cast<int>(count);
  rows.is_bf16 = matrix.dtype() == DType::bf16;
  auto* data = static_cast<std::byte*>(matrix.data());
  if (order != nullptr) {
    rows.order = order + begin;
    rows.following = static_cast<int>(std::max<std::int64_t>(order_size - begin - count, 0));
  } else {
    data += begin * rows.stride * static_cast<std::int64_t>(size_of(matrix.dtype()));
  }
  rows.data = data;
  return rows;
}

PackedHeads::PackedHeads(const AttentionKernel& kernel, int head_dim, std::int64_t heads,
                         std::int64_t groups_per_head, Arena& arena)
    : kernel_(kernel),
      head_dim_(head_dim),
      groups_(groups_per_head),
      group_bytes_(static_cast<std::int64_t>(kernel.group_bytes(head_dim))),
      keys_(arena.array<std::byte>(heads * groups_ * group_bytes_)),
      values_(arena.array<std::byte>(heads * groups_ * group_bytes_)) {}

void PackedHeads::pack(const AttentionRows& k, const AttentionRows& v, std::int64_t head,
                       std::int64_t group) const {
  kernel_.pack_keys(k, head_dim_, keys(head, group));
  kernel_.pack_values(v, head_dim_, values(head, group));
}

void PackedHeads::clear(std::int64_t head, std::int64_t begin, std::int64_t end) const {
  std::fill(keys(head, begin), keys(head, end), std::byte{0});
  std::fill(values(head, begin), values(head, end), std::byte{0});
}

TileScratch::TileScratch(const AttentionKernel& kernel, int head_dim, int threads, Arena& arena)
    : bytes_(aligned(kernel.scratch_bytes(head_dim, kernel.tile_rows))),
      memory_(arena.array<std::byte>(static_cast<std::int64_t>(bytes_) * threads)) {}

std::int64_t heads_at_once(std::int64_t heads, std::int64_t tiles_per_head, int threads) {
  const std::int64_t wanted =
      divide_up(kTilesPerThread * threads, std::max<std::int64_t>(tiles_per_head, 1));
  return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(heads, 1));
}

std::int64_t rows_per_tile(const AttentionKernel& kernel, std::int64_t rows, std::int64_t heads,
                           int threads) {
  const std::int64_t wanted_tiles =
      divide_up(kTilesPerThread * threads, std::max<std::int64_t>(heads, 1));
  const std::int64_t size = divide_up(divide_up(rows, wanted_tiles), kSmallestTile) * kSmallestTile;
  return std::clamp<std::int64_t>(size, kSmallestTile, kernel.tile_rows);
}

}  // namespace sparsevid::ops::cpu
