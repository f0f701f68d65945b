// What the block-sparse kernel reads besides queries: keys and values in cluster order, of a few
// heads at a time, and a list of work. Made on the GPU.
//
// An atom is 8 rows of keys or values in the order and swizzle in which they lie in shared memory
// (tile.h, columns first), 16 bytes x head_dim, so that any run of atoms is one run of bytes. Every
// cluster begins with an atom of its own, so its rows are whole atoms, which are copied as they
// lie, and up to 7 more, which are gathered row by row together with the centroids of the tail.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "core/arena.h"
#include "ops/block_sparse_attention.h"

namespace sparsevid::ops::cuda {

inline constexpr int kAtomRows = 8;
/// Queries of a warpgroup; the pieces of work of a cluster have equally many of these, nearly.
inline constexpr int kQueryUnit = 64;
/// Atoms of zeros that fill an incomplete tile; no tile has more.
inline constexpr int kZeroAtoms = 14;

/// Where a key cluster lies: its first atom, and its rows.
struct ClusterPlace {
  int atom;
  int rows;
};

/// Whole atoms of a chosen cluster.
struct AtomRun {
  int atom;
  int atoms;
};

/// What a query cluster attends to: lists of `runs` and of `rows`. (In 8 bits a list of atoms.)
struct KeyLists {
  int runs;
  int atoms;  // of all runs
  int rows;   // the other rows of the chosen clusters, and the centroids of those not chosen
};

/// Some queries of one cluster against all that is listed for it.
struct SparseWork {
  int head;     // of those planned together; < 0: no more work
  int pair;     // of head and query cluster
  int q_begin;  // place in q_order
  int q_rows;
  KeyLists keys;
  int unused;
};

/// Work in order of the heads.
struct WorkQueue {
  SparseWork* work;
  int* count;
  int* next;                   // the first not handed out
  unsigned long long* amount;  // of it all: warpgroups of queries times one more than keys
};

/// The pieces of work of the heads planned together, and what they are made of.
struct WorkLists {
  int heads;
  int q_clusters;
  KeyLists* lists;  // [heads * q_clusters]
  int* by_keys;     // [heads, q_clusters], those with the most keys first
  int* pieces;      // [heads]: how many there are
  WorkQueue large;
  WorkQueue small;
};

/// Work lists without any work in scratch of `arena`. Pieces have up to `large_rows` queries.
WorkLists empty_work_lists(const BlockSparseAttentionParams& params, int heads, int large_rows,
                           Arena& arena, cudaStream_t stream);

/// Queues the making of the pieces of heads from `first` on, when `lists` are there. Those that
/// have at most `small_rows` queries are queued by themselves.
void list_work(const BlockSparseAttentionParams& params, int first, const WorkLists& lists,
               int large_rows, int small_rows, cudaStream_t stream);

/// Keys and values of the heads planned together as they are given.
struct KeySources {
  const __nv_bfloat16* k;
  const __nv_bfloat16* v;
  std::int64_t k_head_stride, k_row_stride, v_head_stride, v_row_stride;
  const int* k_order;
  const int* k_offsets;
  std::int64_t k_order_stride, k_offsets_stride;
  const float* k_mean;  // null without a tail
  const float* v_mean;
  std::int64_t k_mean_head_stride, k_mean_row_stride, v_mean_head_stride, v_mean_row_stride;
};

struct SparsePlan : WorkLists {
  KeySources keys;
  int held_heads;    // for whose atoms there is room: a head's take the place of the one so many
                     // before
  int packed_heads;  // whose atoms are there before the attention begins
  int k_clusters;
  int head_atoms;     // of one head: tokens, then centroids
  int centroid_atom;  // the first of them
  int pair_rows;      // room for the rows of a pair
  unsigned char* k;   // [held_heads * head_atoms + kZeroAtoms] atoms
  unsigned char* v;
  ClusterPlace* places;  // [heads, k_clusters]
  float* centroid_bias;  // [heads, k_clusters], to be added to logits before they are scaled
  AtomRun* runs;         // [heads * q_clusters, k_clusters]
  int* rows;             // [heads * q_clusters, pair_rows], counted from the head's first atom
  int* packed;           // [heads]: blocks that have packed their share
  int* attended;         // [heads]: pieces of work that are done with
};

/// How many heads can be planned together in so many bytes of scratch.
int heads_planned_in(const BlockSparseAttentionParams& params, std::size_t bytes);

/// Plans heads [first, first + heads) into scratch of `arena`. Pieces of work have up to
/// `large_rows` queries; those that have at most `small_rows` are queued by themselves.
SparsePlan plan_sparse(const BlockSparseAttentionParams& params, int first, int heads,
                       int large_rows, int small_rows, Arena& arena, cudaStream_t stream);

}  // namespace sparsevid::ops::cuda
