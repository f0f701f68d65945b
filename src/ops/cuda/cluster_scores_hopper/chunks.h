// The queries of clusters in pieces that one warpgroup takes.
#pragma once

#include <cstdint>

namespace sparsevid::ops::cuda {

constexpr int kChunk = 64;  // queries

/// Queries of one cluster: they lie in [begin, begin + count) of the order.
struct Chunk {
  int begin;
  int count;
};

struct Chunks {
  const int* q_offsets;
  std::int64_t q_offsets_stride;
  Chunk* chunks;  // [heads, most]
  int* firsts;    // [heads, q_clusters + 1]: the first chunk of each cluster
  int q_clusters, most;
};

}  // namespace sparsevid::ops::cuda
