// Which kernel takes how many keys: one_tile.h, several_tiles.h.
#include "ops/cuda/few_keys_hopper/few_keys.h"

#include <algorithm>
#include <numbers>

#include "ops/cuda/attention_hopper/refusal.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"
#include "ops/cuda/common/tensor_map.h"
#include "ops/cuda/few_keys_hopper/one_tile.h"
#include "ops/cuda/few_keys_hopper/several_tiles.h"

namespace sparsevid::ops::cuda {
namespace {

using namespace few_keys;

Problem problem_of(const AttentionParams& params, int keys_of_tile) {
  Problem p{};
  p.q = head_rows_map(params.q, kRows, kHeadDim / 64);
  p.k = head_rows_map(params.k, keys_of_tile, kHeadDim / 64);
  p.v = head_rows_map(params.v, keys_of_tile, kHeadDim / 64);
  p.out = head_rows_map(params.out, kRows, kHeadDim / 64);
  p.out_data = device_pointer<__nv_bfloat16>(params.out);
  p.out_head_stride = params.out.stride(0);
  p.out_row_stride = params.out.stride(1);
  if (params.key_bias.defined()) {
    p.key_bias = device_pointer<const float>(params.key_bias);
    p.key_bias_stride = params.key_bias.stride(0);
  }
  p.heads = static_cast<int>(params.q.size(0));
  p.q_len = static_cast<int>(params.q.size(1));
  p.k_len = static_cast<int>(params.k.size(1));
  p.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e);
  p.inverse_scale = static_cast<float>(1 / params.scale);
  return p;
}

template <class Tile>
void launch_one_tile(const AttentionParams& params, int most_tiles_of_item,
                     const Context& context) {
  const Problem p = problem_of(params, Tile::kKeys);
  const int multiprocessors = device_facts().multiprocessors;
  // Long enough that keys are loaded seldom, and several for each block, so that they end together.
  constexpr int kItemsOfBlock = 4;
  Items items{};
  items.tiles_per_head = ceil_div(p.q_len, kRows);
  const int fair = items.tiles_per_head * p.heads / (kItemsOfBlock * multiprocessors);
  items.tiles_of_item = std::clamp(fair / Tile::kWarpgroups * Tile::kWarpgroups, Tile::kWarpgroups,
                                   most_tiles_of_item);
  items.count = ceil_div(items.tiles_per_head, items.tiles_of_item) * p.heads;
  constexpr int kBytes = sizeof(OneTileShared<Tile>);
  allow_shared_memory(one_tile_kernel<Tile>, kBytes, "attention");
  one_tile_kernel<Tile>
      <<<std::min(items.count, multiprocessors), Tile::kThreads, kBytes, stream_of(context)>>>(
          p, items);
  check_launch("attention");
}

void launch_several_tiles(const AttentionParams& params, const Context& context) {
  using Tile = SeveralTiles;
  const Problem p = problem_of(params, Tile::kKeys);
  Groups groups{};
  groups.per_head = ceil_div(p.q_len, Tile::kRows);
  groups.count = groups.per_head * p.heads;
  constexpr int kBytes = sizeof(SeveralTilesShared);
  allow_shared_memory(several_tiles_kernel, kBytes, "attention");
  several_tiles_kernel<<<std::min(groups.count, device_facts().multiprocessors), Tile::kThreads,
                         kBytes, stream_of(context)>>>(p, groups);
  check_launch("attention");
}

}  // namespace

std::string few_keys_hopper_refusal(const AttentionParams& params, const Context&) {
  if (params.q.size(2) != kHeadDim) return "head_dim is not 128";
  if (params.k.size(1) == 0 || params.k.size(1) > kMostKeys) return "no keys, or more than 512";
  if (params.bias.defined()) return "a bias of queries and keys";
  return hopper_attention_refusal(params);
}

void few_keys_hopper(const AttentionParams& params, Context& context) {
  if (params.out.numel() == 0) return;
  const std::int64_t keys = params.k.size(1);
  if (keys <= 64) {
    launch_one_tile<OneTile<64, 3, 2, 6>>(params, 6, context);
  } else if (keys <= 128) {
    launch_one_tile<OneTile<128, 2, 2, 4>>(params, 8, context);
  } else if (keys <= 176) {
    launch_one_tile<OneTile<176, 2, 1, 6>>(params, 32, context);
  } else {
    launch_several_tiles(params, context);
  }
}

}  // namespace sparsevid::ops::cuda
