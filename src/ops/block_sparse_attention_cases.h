// Cases of block-sparse attention, for its test and its benchmark.
#pragma once

#include <algorithm>
#include <cmath>
#include <ostream>
#include <vector>

#include "ops/attention_cases.h"
#include "ops/block_sparse_attention.h"

namespace sparsevid::ops {

/// How large the clusters are.
enum class ClusterSizes {
  uneven,   ///< around the mean, as k-means leaves them
  one_big,  ///< nearly all tokens in one
  holes,    ///< every other one empty
};

struct BlockSparseCase {
  const char* name;
  std::int64_t heads;
  std::int64_t q_len;
  std::int64_t k_len;
  std::int64_t head_dim;
  std::int64_t q_clusters;
  std::int64_t k_clusters;
  double density;  ///< share of pairs of clusters
  bool tail = true;
  ClusterSizes sizes = ClusterSizes::uneven;
  DType dtype = DType::bf16;
  bool seq_first = false;
  double logits = 1;
  int q_multiple = 1;  ///< of which the sizes of query clusters are, but for the last
  int k_multiple = 1;
};
inline std::ostream& operator<<(std::ostream& out, const BlockSparseCase& c) {
  return out << c.name;
}

/// Small enough for the reference.
inline const std::vector<BlockSparseCase>& block_sparse_test_cases() {
  using enum ClusterSizes;
  static const std::vector<BlockSparseCase> cases = {
      {"one_token", 1, 1, 1, 64, 1, 1, 1},
      {"typical", 2, 600, 500, 64, 9, 17, .3},
      {"typical_f32", 2, 600, 500, 64, 9, 17, .3, true, uneven, DType::f32},
      {"no_tail", 2, 600, 500, 64, 9, 17, .3, false},
      {"no_tail_f32", 2, 600, 500, 64, 9, 17, .3, false, uneven, DType::f32},
      {"wan", 2, 300, 333, 128, 5, 12, .4, true, uneven, DType::bf16, true},
      {"many_clusters", 2, 500, 900, 128, 7, 150, .25, true, uneven, DType::bf16, true},
      {"many_heads", 9, 200, 180, 128, 4, 11, .4, true, uneven, DType::bf16, true},
      {"many_heads_64", 9, 200, 180, 64, 4, 11, .4},
      {"one_big_no_tail", 2, 400, 900, 128, 11, 90, .3, false, one_big, DType::bf16, true},
      {"head_dim_80", 2, 300, 333, 80, 5, 12, .4},
      {"tiny_heads", 2, 90, 80, 12, 4, 8, .5},
      {"tiny_heads_f32", 2, 90, 80, 12, 4, 8, .5, true, uneven, DType::f32},
      {"holes", 2, 400, 300, 64, 10, 21, .4, true, holes},
      {"holes_no_tail_f32", 2, 400, 300, 64, 10, 21, .4, false, holes, DType::f32},
      {"one_big", 2, 900, 700, 64, 6, 9, .5, true, one_big},
      {"one_big_f32", 2, 900, 700, 64, 6, 9, .5, true, one_big, DType::f32},
      {"clusters_of_one", 2, 60, 70, 64, 60, 70, .2},
      {"more_clusters_than_tokens", 2, 20, 30, 64, 50, 90, .3},
      {"nothing_chosen", 2, 100, 90, 64, 3, 7, 0},
      {"nothing_chosen_no_tail", 2, 100, 90, 64, 3, 7, 0, false},
      {"all_chosen", 2, 300, 290, 64, 7, 15, 1},
      {"large_query_clusters", 3, 1900, 600, 128, 7, 23, .4, true, uneven, DType::bf16, true},
      {"large_query_clusters_64", 2, 1900, 600, 64, 7, 23, .4},
      {"large_query_clusters_no_tail", 2, 1500, 700, 128, 4, 40, .3, false},
      {"large_query_clusters_small_key_clusters", 2, 1300, 90, 128, 4, 30, .5},
      {"large_query_clusters_nothing_chosen", 2, 900, 90, 128, 3, 7, 0, false},
      {"long_lists", 1, 150, 6000, 128, 3, 60, .8},
      {"long_lists_64", 1, 150, 5000, 64, 3, 60, .8, false},
      {"huge_logits", 2, 200, 190, 64, 4, 9, .4, true, uneven, DType::bf16, false, 3000},
      {"huge_logits_f32", 2, 200, 190, 64, 4, 9, .4, true, uneven, DType::f32, false, 3000},
  };
  return cases;
}

/// The demo's size, and the one the speed target is stated for.
inline const std::vector<BlockSparseCase>& block_sparse_bench_cases() {
  using enum ClusterSizes;
  static const std::vector<BlockSparseCase> cases = {
      {"demo_15", 4, 5200, 5200, 64, 64, 128, .15, true, uneven, DType::bf16, true},
      {"demo_15_fine", 4, 5200, 5200, 64, 128, 256, .15, true, uneven, DType::bf16, true},
      {"sparse_16k_25", 8, 16384, 16384, 128, 128, 512, .25, true, uneven, DType::bf16, true},
      {"sparse_16k_15", 8, 16384, 16384, 128, 128, 512, .15, true, uneven, DType::bf16, true},
      {"wan_14b_720p_10", 8, 75600, 75600, 128, 300, 1000, .10, false, uneven, DType::bf16, true},
      {"wan_14b_720p_20", 8, 75600, 75600, 128, 300, 1000, .20, false, uneven, DType::bf16, true},
      {"wan_14b_720p_20_tail", 8, 75600, 75600, 128, 300, 1000, .20, true, uneven, DType::bf16,
       true},
      {"wan_14b_720p_30", 8, 75600, 75600, 128, 300, 1000, .30, false, uneven, DType::bf16, true},
      {"hunyuan_720p_20_tail", 8, 118800, 118800, 128, 400, 1000, .20, true, uneven, DType::bf16,
       true},
      {"cosmos_704p_20_tail", 8, 56320, 56320, 128, 400, 1000, .20, true, uneven, DType::bf16,
       true},
  };
  return cases;
}

/// [heads, count] labels as an order of tokens and the offsets of the clusters.
struct ClusteredTokens {
  ClusteredTokens(std::int64_t heads, std::int64_t count, std::int64_t clusters, ClusterSizes sizes,
                  std::uint64_t seed, int multiple = 1)
      : order(DType::i32, {heads, count}), offsets(DType::i32, {heads, clusters + 1}) {
    const Tensor places = random_tensor({heads, count}, seed, DType::f32);
    const Tensor widths = random_tensor({heads, clusters}, seed + 1, DType::f32);
    for (std::int64_t head = 0; head < heads; ++head) {
      auto* tokens = order->as<std::int32_t>() + head * count;
      for (std::int64_t i = 0; i < count; ++i) tokens[i] = static_cast<std::int32_t>(i);
      const float* place = places->as<float>() + head * count;
      std::sort(tokens, tokens + count, [&](auto a, auto b) { return place[a] < place[b]; });
      write_offsets(count, clusters, sizes, widths->as<float>() + head * clusters, multiple,
                    offsets->as<std::int32_t>() + head * (clusters + 1));
    }
  }
  Tensor order;
  Tensor offsets;

 private:
  static void write_offsets(std::int64_t count, std::int64_t clusters, ClusterSizes sizes,
                            const float* widths, int multiple, std::int32_t* offsets) {
    std::vector<double> share(static_cast<std::size_t>(clusters));
    double total = 0;
    for (std::size_t c = 0; c < share.size(); ++c) {
      share[c] = std::exp(0.4 * widths[c]);
      if (sizes == ClusterSizes::holes && c % 2 == 0) share[c] = 0;
      if (sizes == ClusterSizes::one_big && c == share.size() / 2) share[c] = 1000;
      total += share[c];
    }
    offsets[0] = 0;
    double sum = 0;
    for (std::size_t c = 0; c < share.size(); ++c) {
      sum += share[c];
      const double end = sum / total * static_cast<double>(count);
      offsets[c + 1] = static_cast<std::int32_t>(
          c + 1 == share.size() ? count : std::min(count, std::lround(end / multiple) * multiple));
    }
  }
};

/// The means of clusters, [heads, clusters, head_dim] f32.
inline Tensor cluster_means(const TensorView& x, const ClusteredTokens& clusters) {
  const std::int64_t count = clusters.offsets->size(1) - 1;
  Tensor means = constant_tensor({x.size(0), count, x.size(2)}, 0);
  for (std::int64_t head = 0; head < x.size(0); ++head)
    for (std::int64_t c = 0; c < count; ++c) {
      const auto* offsets = clusters.offsets->as<std::int32_t>() + head * (count + 1);
      float* mean = means->as<float>() + (head * count + c) * x.size(2);
      for (auto place = offsets[c]; place < offsets[c + 1]; ++place) {
        const std::int64_t token = clusters.order->as<std::int32_t>()[head * x.size(1) + place];
        const TensorView row = x[head][token];
        for (std::int64_t d = 0; d < x.size(2); ++d)
          mean[d] += (row.dtype() == DType::bf16 ? static_cast<float>(row.as<bf16>()[d])
                                                 : row.as<float>()[d]) /
                     static_cast<float>(offsets[c + 1] - offsets[c]);
      }
    }
  return means;
}

/// The tensors of a case; `params.out` is uninitialised.
struct BlockSparseInputs {
  explicit BlockSparseInputs(const BlockSparseCase& c)
      : dense({c.name, c.heads, c.q_len, c.k_len, c.head_dim, c.dtype, c.logits, c.seq_first}),
        q_clusters(c.heads, c.q_len, c.q_clusters, c.sizes, 11, c.q_multiple),
        k_clusters(c.heads, c.k_len, c.k_clusters, c.sizes, 13, c.k_multiple),
        chosen(DType::u8, {c.heads, c.q_clusters, c.k_clusters}) {
    const Tensor dice = random_integers(chosen->shape(), 15, 0, 999'999);
    for (std::int64_t i = 0; i < chosen->numel(); ++i)
      chosen->as<std::uint8_t>()[i] = dice->as<std::int32_t>()[i] < c.density * 1e6 ? 1 : 0;
    params.q = dense.params.q;
    params.k = dense.params.k;
    params.v = dense.params.v;
    params.out = dense.params.out;
    params.scale = dense.params.scale;
    params.q_order = q_clusters.order;
    params.q_offsets = q_clusters.offsets;
    params.k_order = k_clusters.order;
    params.k_offsets = k_clusters.offsets;
    params.chosen = chosen;
    if (c.tail) {
      k_mean = cluster_means(params.k, k_clusters);
      v_mean = cluster_means(params.v, k_clusters);
      params.k_mean = k_mean;
      params.v_mean = v_mean;
    }
  }
  AttentionInputs dense;
  ClusteredTokens q_clusters;
  ClusteredTokens k_clusters;
  Tensor chosen;
  Tensor k_mean;
  Tensor v_mean;
  BlockSparseAttentionParams params;
};

}  // namespace sparsevid::ops
