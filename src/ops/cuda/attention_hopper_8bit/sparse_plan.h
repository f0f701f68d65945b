// What block-sparse attention in 8 bits reads: rounded queries, keys and values in cluster order,
// and lists of what is chosen. Made on the GPU for a few heads at a time.
//
// Every cluster begins with an atom of its own; what of its last atom is not filled are copies of
// its last key whose values and ones are 0, so that nothing is masked anywhere. Behind the tokens'
// atoms of a head come those of the centroids, all of them: a query cluster attends to all, with a
// bias that is next to minus infinity for those that are chosen or empty.
#pragma once

#include <cstdint>

#include "core/arena.h"
#include "ops/block_sparse_attention.h"
#include "ops/cuda/attention_hopper/sparse_plan.h"
#include "ops/cuda/common/launch.h"

namespace sparsevid::ops::cuda {

/// Of its work lists only the queue `large` is used: pieces of one and of two warpgroups.
struct SparsePlan8 : WorkLists {
  int q_len;
  int k_clusters;
  int head_atoms;      // of one head: tokens, then centroids
  int centroid_atom;   // the first of them
  int centroid_atoms;  // whole tiles; 0 without a tail
  int pair_atoms;      // room for the list of a pair
  unsigned char* q;    // [heads, q_len, head_dim]
  unsigned char* k;    // [heads * head_atoms] atoms
  unsigned char* v;    // [heads * head_atoms] atoms, and a tile of zeros
  float* q_scale;      // [heads, q_len]; products of int8 times both scales are head_dim q . k
  float* k_largest;    // [heads]: magnitude that becomes 127
  float* v_scale;      // [heads, head_dim]
  float* v_mean;       // [heads, head_dim]
  float* bias;         // [heads * q_clusters, 16 centroid_atoms], in powers of 2
  int* atoms;          // [heads * q_clusters, pair_atoms], counted from the head's first
};

inline constexpr int kWorkRows8 = 2 * kQueryUnit;

/// Bytes of scratch for one head with tiles of `tile_atoms`.
std::size_t sparse_plan_bytes_8bit(const BlockSparseAttentionParams& params, int tile_atoms);

/// Plans heads [first, first + heads) into scratch of `arena`.
SparsePlan8 plan_sparse_8bit(const BlockSparseAttentionParams& params, int first, int heads,
                             int tile_atoms, Arena& arena, cudaStream_t stream);

}  // namespace sparsevid::ops::cuda
