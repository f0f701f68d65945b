// The work of block-sparse attention, laid out on the GPU: tiles of queries, and centroids in bf16.
#pragma once

#include "ops/block_sparse_attention.h"
#include "ops/cuda/common/elements.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

/// At most `kQueryTile` queries of one cluster. rows = 0: nothing.
struct ClusterTile {
  int cluster;
  int begin;  ///< place of the first query in the cluster-sorted sequence
  int rows;
};

struct ClusterPlan {
  ClusterTile* tiles;  ///< [heads, tiles_per_head], those with the most keys first
  int tiles_per_head;
  device_bf16* k_mean;  ///< [heads, k_clusters, head_dim], zeros for empty clusters; null: no tail
  device_bf16* v_mean;
};

/// From the arena of the context; `query_tile` rows to a tile, shared by warps of `warp_rows`.
ClusterPlan plan_clusters(const BlockSparseAttentionParams& params, int query_tile, int warp_rows,
                          Context& context);

}  // namespace sparsevid::ops::cuda
