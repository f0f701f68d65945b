// Launching dense attention in 8 bits with a given tile.
#pragma once

#include <algorithm>
#include <numbers>

#include "ops/cuda/attention_hopper_8bit/dense_kernel.h"
#include "ops/cuda/attention_hopper_8bit/prepare.h"
#include "ops/cuda/common/cluster_launch.h"

namespace sparsevid::ops::cuda {

template <class Tile, int kCluster, int kPolynomialsOf16, int kKeepEvery>
void launch_dense_8bit(const Attention8bitParams& params, Context& context) {
  constexpr std::size_t kScratch = std::size_t{640} << 20;
  constexpr int kRows = Tile::kRows * kCluster;
  const auto heads = static_cast<int>(params.q.size(0));
  const auto q_len = static_cast<int>(params.q.size(1));
  if (heads == 0 || q_len == 0) return;
  const Preparation<Tile> preparation(params, kRows);
  const int parts = ceil_div(heads, std::max(1, static_cast<int>(kScratch / preparation.bytes())));
  const int heads_at_once = ceil_div(heads, parts);

  constexpr int kSharedBytes = sizeof(Shared8<Tile>);
  const auto kernel = dense_attention_8bit<Tile, kCluster, kPolynomialsOf16, kKeepEvery>;
  allow_shared_memory(kernel, kSharedBytes, "attention_8bit");
  for (int first = 0; first < heads; first += heads_at_once) {
    const Arena::Scope scope_of_part(context.arena);
    const int count = std::min(heads_at_once, heads - first);
    const Prepared8 prepared = preparation.run(first, count, context.arena, stream_of(context));
    Dense8Arguments a{};
    a.q = prepared.q;
    a.k = prepared.k;
    a.v = prepared.v;
    a.q_scale = prepared.q_scale;
    a.v_scale = prepared.v_scale;
    a.v_mean = prepared.v_mean;
    a.k_scale = prepared.k_scale;
    a.out = static_cast<__nv_bfloat16*>(params.out.data()) + first * params.out.stride(0);
    a.out_head_stride = params.out.stride(0);
    a.out_row_stride = params.out.stride(1);
    a.q_len = q_len;
    a.q_rows = prepared.q_rows;
    a.k_tiles = prepared.k_tiles;
    a.groups_per_head = prepared.q_rows / kRows;
    a.groups = count * a.groups_per_head;
    a.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e / Tile::kHeadDim);

    const int blocks = std::min(a.groups, device_facts().multiprocessors / kCluster) * kCluster;
    launch_in_clusters(kernel, {dim3(blocks), kCluster, Tile::kThreads, kSharedBytes}, a,
                       stream_of(context), "attention_8bit");
  }
}

}  // namespace sparsevid::ops::cuda
