#include "ops/cpu/attention.h"

#include "base/parallel.h"
#include "ops/cpu/attention_scratch.h"

namespace sparsevid::ops::cpu {
namespace {

/// Keys packed by one thread at a time.
constexpr std::int64_t kPackRows = 256;

/// All keys, with the biases that all queries share.
KeyList list_of_all(const AttentionKernel& kernel, const AttentionParams& params, Arena& arena) {
  const std::int64_t k_len = params.k.size(1);
  KeyList list{arena.array<KeyGroup>(divide_up(k_len, kernel.group) + kernel.group_multiple)};
  list.add_keys(0, k_len, kernel.group);
  if (params.key_bias.defined()) {
    for (std::int64_t j = 0; j < k_len; ++j)
      list.groups[j / kernel.group].bias[j % kernel.group] = static_cast<float>(
          params.key_bias.as<float>()[j * params.key_bias.stride(0)] / params.scale);
  }
  list.pad(kernel);
  return list;
}

void pack_heads(const AttentionParams& params, std::int64_t first_head, std::int64_t heads,
                const PackedHeads& packed, int group, Context& context) {
  const std::int64_t k_len = params.k.size(1);
  const std::int64_t pieces = divide_up(k_len, kPackRows);
  parallel_for(context.threads, heads * pieces, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t head = item / pieces;
    const std::int64_t begin = item % pieces * kPackRows;
    const std::int64_t count = std::min(kPackRows, k_len - begin);
    packed.pack(attention_rows(params.k[first_head + head], nullptr, begin, count),
                attention_rows(params.v[first_head + head], nullptr, begin, count), head,
                begin / group);
  });
}

}  // namespace

void attention(const AttentionKernel& kernel, const AttentionParams& params, Context& context) {
  const std::int64_t heads = params.q.size(0);
  const std::int64_t q_len = params.q.size(1);
  const std::int64_t k_len = params.k.size(1);
  const auto head_dim = static_cast<int>(params.q.size(2));
  const Arena::Scope scope(context.arena);
  const KeyList list = list_of_all(kernel, params, context.arena);
  const TileScratch scratch(kernel, head_dim, context.threads, context.arena);
  const std::int64_t rows = rows_per_tile(kernel, q_len, heads, context.threads);
  const std::int64_t tiles = divide_up(q_len, rows);
  const std::int64_t at_once = heads_at_once(heads, tiles, context.threads);
  const PackedHeads packed(kernel, head_dim, at_once, divide_up(k_len, kernel.group),
                           context.arena);
  for (std::int64_t first = 0; first < heads; first += at_once) {
    context.check_cancelled();
    const std::int64_t now = std::min(at_once, heads - first);
    pack_heads(params, first, now, packed, kernel.group, context);
    parallel_for(context.threads, now * tiles, 1, [&](std::int64_t item, std::int64_t) {
      const std::int64_t head = first + item / tiles;
      const std::int64_t begin = item % tiles * rows;
      const std::int64_t count = std::min(rows, q_len - begin);
      AttentionTile tile;
      tile.q = attention_rows(params.q[head], nullptr, begin, count);
      tile.out = attention_rows(params.out[head], nullptr, begin, count);
      tile.head_dim = head_dim;
      tile.keys = packed.keys(head - first);
      tile.values = packed.values(head - first);
      tile.groups = list.groups;
      tile.group_count = static_cast<int>(list.count);
      if (params.bias.defined()) {
        const TensorView bias = params.bias[head];
        tile.bias = bias.as<float>() + begin * bias.stride(0);
        tile.bias_row_stride = bias.stride(0);
        tile.bias_key_stride = bias.stride(1);
        tile.bias_keys = static_cast<int>(k_len);
      }
      tile.scale = static_cast<float>(params.scale);
      tile.scratch = scratch.of_thread(thread_index());
      kernel.run(tile);
    });
  }
}

}  // namespace sparsevid::ops::cpu
