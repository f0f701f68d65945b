// Cases of block-sparse attention in 8 bits, for its test and its benchmark.
#pragma once

#include "ops/attention_8bit_cases.h"
#include "ops/block_sparse_attention_8bit.h"
#include "ops/block_sparse_attention_cases.h"

namespace sparsevid::ops {

struct BlockSparse8bitCase {
  BlockSparseCase of;
  Channels8bit channels = Channels8bit::normal;
};
inline std::ostream& operator<<(std::ostream& out, const BlockSparse8bitCase& c) {
  return out << c.of.name;
}

inline const std::vector<BlockSparse8bitCase>& block_sparse_8bit_test_cases() {
  using enum ClusterSizes;
  constexpr DType kType = DType::bf16;
  static const std::vector<BlockSparse8bitCase> cases = {
      {{"one_token", 1, 1, 1, 128, 1, 1, 1}},
      {{"typical", 2, 600, 500, 128, 9, 17, .3}},
      {{"no_tail", 2, 600, 500, 128, 9, 17, .3, false}},
      {{"wan", 2, 300, 333, 128, 5, 12, .4, true, uneven, kType, true}},
      {{"many_clusters", 2, 500, 900, 128, 7, 250, .25, true, uneven, kType, true}},
      {{"many_heads", 9, 200, 180, 128, 4, 11, .4, true, uneven, kType, true}},
      {{"one_big", 2, 900, 700, 128, 6, 9, .5, true, one_big}},
      {{"one_big_no_tail", 2, 400, 900, 128, 11, 90, .3, false, one_big, kType, true}},
      {{"holes", 2, 400, 300, 128, 10, 21, .4, true, holes}},
      {{"clusters_of_one", 2, 60, 70, 128, 60, 70, .2}},
      {{"more_clusters_than_tokens", 2, 20, 30, 128, 50, 90, .3}},
      {{"nothing_chosen", 2, 100, 90, 128, 3, 7, 0}},
      {{"all_chosen", 2, 300, 290, 128, 7, 15, 1}},
      {{"flat", 2, 300, 700, 128, 5, 20, .4, true, uneven, kType, true, .1}},
      {{"peaked", 2, 200, 500, 128, 4, 9, .4, false, uneven, kType, true, 20}},
      {{"huge_logits", 2, 200, 190, 128, 4, 9, .4, false, uneven, kType, false, 3000}},
      {{"many_keys", 1, 130, 8000, 128, 2, 60, .6, true, uneven, kType, true, 2}},
      {{"large_channels", 2, 300, 900, 128, 5, 12, .4, true, uneven, kType, true},
       Channels8bit::large},
      {{"shifted", 2, 300, 900, 128, 5, 12, .4, true, uneven, kType, true}, Channels8bit::shifted},
      {{"rounded", 2, 900, 700, 128, 5, 14, .4, true, uneven, kType, true, 1, 128, 16}},
      {{"head_dim_64", 2, 600, 500, 64, 9, 17, .3}},
      {{"head_dim_64_no_tail", 2, 600, 500, 64, 9, 17, .3, false}},
      {{"head_dim_64_many_clusters", 2, 500, 900, 64, 7, 250, .25, true, uneven, kType, true}},
      {{"head_dim_64_many_heads", 9, 200, 180, 64, 4, 11, .4, true, uneven, kType, true}},
      {{"head_dim_64_holes", 2, 400, 300, 64, 10, 21, .4, true, holes}},
      {{"head_dim_64_many_keys", 1, 130, 8000, 64, 2, 60, .6, true, uneven, kType, true, 2}},
  };
  return cases;
}

/// The target's size, with the sizes of clusters that are the default in 8 bits.
inline const std::vector<BlockSparse8bitCase>& block_sparse_8bit_bench_cases() {
  using enum ClusterSizes;
  constexpr DType kType = DType::bf16;
  static const std::vector<BlockSparse8bitCase> cases = {
      {{"wan_14b_720p_10_tail", 8, 75600, 75600, 128, 300, 1000, .10, true, uneven, kType, true, 1,
        128, 16}},
      {{"wan_14b_720p_20_tail", 8, 75600, 75600, 128, 300, 1000, .20, true, uneven, kType, true, 1,
        128, 16}},
      {{"wan_14b_720p_20_tail_unrounded", 8, 75600, 75600, 128, 300, 1000, .20, true, uneven, kType,
        true}},
      {{"wan_14b_720p_30_tail", 8, 75600, 75600, 128, 300, 1000, .30, true, uneven, kType, true, 1,
        128, 16}},
  };
  return cases;
}

/// The tensors of a case; `params.out` is uninitialised.
struct BlockSparse8bitInputs {
  explicit BlockSparse8bitInputs(const BlockSparse8bitCase& c) : of(c.of) {
    set_channels(c.channels, of.params.q, of.params.k, of.params.v);
    static_cast<BlockSparseAttentionParams&>(params) = of.params;
    if (c.channels != Channels8bit::normal) take_means();
  }
  /// Of the clusters as they are now, if there is a tail.
  void take_means() {
    if (!params.k_mean.defined()) return;
    k_mean = cluster_means(params.k, of.k_clusters);
    v_mean = cluster_means(params.v, of.k_clusters);
    params.k_mean = k_mean;
    params.v_mean = v_mean;
  }
  BlockSparseInputs of;
  Tensor k_mean;
  Tensor v_mean;
  BlockSparseAttention8bitParams params;
};

}  // namespace sparsevid::ops
