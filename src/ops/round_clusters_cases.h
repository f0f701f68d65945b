// The clusters that the test rounds and the benchmark times.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ops/cluster_order.h"
#include "ops/round_clusters.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops {

struct RoundClustersCase {
  const char* name;
  std::int64_t heads;
  std::int64_t count;
  std::int64_t head_dim;
  int clusters;
  int multiple;
  DType dtype = DType::f32;
  int text = 0;  ///< tokens of one more cluster, which is not rounded
};

inline std::vector<RoundClustersCase> round_clusters_test_cases() {
  return {
      {"small", 2, 200, 16, 8, 8},
      {"bf16", 2, 331, 64, 20, 8, DType::bf16},
      {"with_text", 2, 331, 64, 20, 8, DType::bf16, 13},
      {"odd_sizes", 3, 211, 33, 17, 5},
      {"two_clusters", 1, 50, 8, 2, 16},
      {"one_cluster", 1, 50, 8, 1, 16},
      {"fewer_clusters_than_neighbours", 1, 90, 8, 5, 8, DType::bf16},
      {"more_clusters_than_tokens", 2, 10, 8, 30, 4},
      {"multiple_above_all_sizes", 1, 100, 8, 10, 64},
      {"multiple_of_one", 1, 100, 8, 10, 1},
      {"many", 2, 2500, 128, 70, 16, DType::bf16},
      {"large_clusters", 2, 3000, 64, 6, 64, DType::bf16},
      {"very_large_clusters", 1, 9000, 8, 4, 1000, DType::bf16},
  };
}

/// Tokens and centroids of small whole numbers, so that every distance is exact and all
/// implementations have to agree; each token in the nearest cluster, every third cluster empty.
struct RoundClustersInputs {
  explicit RoundClustersInputs(const RoundClustersCase& c)
      : x(convert(random_integers({c.heads, c.count, c.head_dim}, 1, -4, 4), c.dtype)),
        centroids(
            convert(random_integers({c.heads, c.clusters, c.head_dim}, 2, -3, 3), DType::f32)),
        labels(DType::i32, {c.heads, c.count}),
        order(DType::i32, {c.heads, c.count}),
        offsets(DType::i32, {c.heads, c.clusters + (c.text > 0 ? 2 : 1)}),
        params{x, centroids, order, offsets, c.multiple, labels} {
    const std::vector<double> rows = to_vector(x);
    const std::vector<double> centers = to_vector(centroids);
    for (std::int64_t i = 0; i < c.heads * c.count; ++i) {
      const std::int64_t first = i / c.count * c.clusters;
      double least = 1e30;
      for (int j = 0; j < c.clusters; ++j) {
        if (j % 3 == 2) continue;
        double distance = 0;
        for (std::int64_t d = 0; d < c.head_dim; ++d) {
          const double difference =
              rows[i * c.head_dim + d] - centers[(first + j) * c.head_dim + d];
          distance += difference * difference;
        }
        if (distance >= least) continue;
        least = distance;
        labels->as<std::int32_t>()[i] = j;
      }
      if (i % c.count >= c.count - c.text) labels->as<std::int32_t>()[i] = c.clusters;
    }
    Context context;
    cluster_order({labels, order, offsets}, context);
  }
  Tensor x;
  Tensor centroids;
  Tensor labels;
  Tensor order;
  Tensor offsets;
  RoundClustersParams params;
};

}  // namespace sparsevid::ops
