// What the kernels of round_clusters.cu share.
#pragma once

#include <cstdint>

#include "ops/round_clusters.h"

namespace sparsevid::ops::cuda {

constexpr int kNear = kRoundNeighbours;

/// Where a token is: its cluster, whether it ever left its first one, and the round, from 1, in
/// which it came.
struct TokenPlace {
  static constexpr int kListed = 64;
  static constexpr int kRounds = kListed - 1;
  static_assert(kRoundRounds <= kRounds);
  int bits;

  __device__ static TokenPlace at_first(int cluster) { return {cluster * 2 * kListed}; }
  __device__ int cluster() const { return bits / (2 * kListed); }
  __device__ bool listed() const { return (bits & kListed) != 0; }
  __device__ int round() const { return bits & kRounds; }
};

/// A token that ever left its first cluster.
struct alignas(16) Wanderer {
  int place, first;
  TokenPlace now;
  int unused;
};

/// Where a token goes if it has to, and what there is to know of it then.
struct Way {
  int bits;

  __device__ static Way to(int cluster, bool home, bool listed) {
    return {cluster * 4 + (home ? 2 : 0) + (listed ? 1 : 0)};
  }
  __device__ int cluster() const { return bits / 4; }
  __device__ bool home() const { return (bits & 2) != 0; }    // to its first cluster
  __device__ bool listed() const { return (bits & 1) != 0; }  // among the wanderers
};

struct RoundProblem {
  const float* centroids;  // [heads, clusters, dim]
  std::int64_t centroids_stride;
  const int* order;
  std::int64_t order_stride;
  const int* offsets;
  std::int64_t offsets_stride;
  int* labels;
  std::int64_t labels_stride;
  int count, clusters, dim, multiple;
  // [heads, clusters, kNear], -1 where there are fewer
  int* neighbours;
  // [heads, clusters]
  float* nearest;  // squared distance to the first of them
  int* sizes;      // now
  int* wanted;     // sizes
  int* guests;     // tokens in it whose first cluster is another one
  int* gathered;   // of its guests, in this round
  float* prices;
  // [heads]
  float* step;        // of prices; negative: nothing can move
  int* wanderers;     // how many tokens ever left their first cluster
  unsigned* arrived;  // blocks at the barrier, since the beginning
  // [heads, count], by place in the order
  float* costs;  // [.., kNear]
  TokenPlace* now;
  int* numbers;  // of those that are wanderers
  // [heads, count]
  Wanderer* wandered;
  int* dealt;  // guests of the round by cluster: their numbers among the wanderers
  // [heads, 2 count], of the candidates of clusters that are too many for registers
  unsigned* losses;  // as ordered integers
  Way* ways;         // where each goes if it has to
};

}  // namespace sparsevid::ops::cuda
