// Launching dense attention with a given tile.
#pragma once

#include <algorithm>
#include <numbers>

#include "ops/attention.h"
#include "ops/cuda/attention_hopper/dense_kernel.h"
#include "ops/cuda/common/cluster_launch.h"
#include "ops/cuda/common/tensor_map.h"

namespace sparsevid::ops::cuda {

template <class Tile, int kCluster>
void launch_dense(const AttentionParams& params, cudaStream_t stream) {
  using Share = DenseShare<Tile, kCluster>;
  const auto heads = static_cast<int>(params.q.size(0));
  DenseArguments a{};
  a.q_len = static_cast<int>(params.q.size(1));
  a.k_len = static_cast<int>(params.k.size(1));
  if (heads == 0 || a.q_len == 0) return;
  a.q = head_rows_map(params.q, 64, Tile::kHalves);
  a.k = head_rows_map(params.k, Share::kRows, Share::kHalves);
  a.v = head_rows_map(params.v, Share::kRows, Share::kHalves);
  a.out = static_cast<__nv_bfloat16*>(params.out.data());
  a.out_head_stride = params.out.stride(0);
  a.out_row_stride = params.out.stride(1);
  a.groups_per_head = ceil_div(a.q_len, Tile::kRows * kCluster);
  a.groups = heads * a.groups_per_head;
  a.scale_log2 = static_cast<float>(params.scale * std::numbers::log2e);

  constexpr int kSharedBytes = sizeof(AttentionShared<Tile>);
  const auto kernel = dense_attention<Tile, kCluster>;
  allow_shared_memory(kernel, kSharedBytes, "attention");
  const int blocks = std::min(a.groups, device_facts().multiprocessors / kCluster) * kCluster;
  launch_in_clusters(kernel, {dim3(blocks), kCluster, Tile::kThreads, kSharedBytes}, a, stream,
                     "attention");
}

}  // namespace sparsevid::ops::cuda
