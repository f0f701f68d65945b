// The clusterings that the test runs and the benchmark times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace sparsevid::ops {

struct KMeansCase {
  std::string name;
  std::int64_t heads;
  std::int64_t count;
  std::int64_t head_dim;
  std::int64_t clusters;
  DType dtype;
  int iterations;
};

inline std::vector<KMeansCase> kmeans_test_cases() {
  return {
      {"small", 2, 200, 16, 8, DType::f32, 4},
      {"bf16", 2, 300, 64, 20, DType::bf16, 4},
      {"odd_sizes", 3, 211, 33, 17, DType::f32, 3},
      {"odd_sizes_bf16", 3, 211, 33, 17, DType::bf16, 3},
      {"one_cluster", 1, 50, 8, 1, DType::f32, 2},
      {"as_many_clusters_as_rows", 1, 24, 8, 24, DType::f32, 2},
      {"more_clusters_than_rows", 2, 10, 8, 30, DType::f32, 3},
      {"one_row", 1, 1, 8, 4, DType::bf16, 2},
      {"several_panels", 1, 700, 128, 150, DType::bf16, 2},
  };
}

inline std::vector<KMeansCase> kmeans_bench_cases() {
  return {
      {"demo_queries", 4, 5200, 64, 128, DType::bf16, 1},
      {"demo_keys", 4, 5200, 64, 256, DType::bf16, 1},
      {"large_queries", 8, 16384, 128, 128, DType::bf16, 1},
      {"large_keys", 8, 16384, 128, 256, DType::bf16, 1},
      {"large_keys_f32", 8, 16384, 128, 256, DType::f32, 1},
      {"wan_14b_720p_queries", 8, 75600, 128, 300, DType::bf16, 1},
      {"wan_14b_720p_keys", 8, 75600, 128, 1000, DType::bf16, 1},
  };
}

}  // namespace sparsevid::ops
