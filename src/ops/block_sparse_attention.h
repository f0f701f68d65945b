// Attention over chosen pairs of clusters of any size, the rest optionally kept as centroids.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct BlockSparseAttentionParams {
  TensorView q;  ///< [heads, q_len, head_dim] f32 or bf16, in token order; contiguous last axis
  TensorView k;  ///< [heads, k_len, head_dim], dtype of q, in token order
  TensorView v;  ///< [heads, k_len, head_dim], dtype of q, in token order
  TensorView q_order;  ///< [heads, q_len] i32: token at each place of the cluster-sorted sequence
  TensorView k_order;  ///< [heads, k_len] i32
  TensorView
      q_offsets;  ///< [heads, q_clusters + 1] i32: where each cluster begins; may be empty ranges
  TensorView k_offsets;  ///< [heads, k_clusters + 1] i32
  TensorView chosen;     ///< [heads, q_clusters, k_clusters] u8: 1 = computed exactly
  /// The tail (methods.md, semantic_tail 1): a cluster that is not chosen takes part as one key
  /// k_mean with bias ln(size) and value v_mean. Both undefined: it is dropped.
  TensorView k_mean;  ///< [heads, k_clusters, head_dim] f32
  TensorView v_mean;  ///< [heads, k_clusters, head_dim] f32
  /// k_mean and v_mean are not read but written: the means of the clusters' keys and values, 0 for
  /// an empty cluster. On the CPU, where a kernel that gathers these rows has them for little.
  bool takes_means = false;
  double scale = 1;
  TensorView out;  ///< [heads, q_len, head_dim], dtype of q, in token order; any strides but a
                   ///< contiguous last axis
};
/// Softmax and sums in f32. A query with nothing chosen and no tail gets zeros. Empty clusters are
/// legal and take no part.

void block_sparse_attention(const BlockSparseAttentionParams& params, Context& context);
const ImplementationList<BlockSparseAttentionParams>& block_sparse_attention_implementations();

}  // namespace sparsevid::ops
