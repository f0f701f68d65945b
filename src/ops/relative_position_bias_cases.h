// Sizes on which relative_position_bias is tested.
#pragma once

#include <cstdint>

namespace sparsevid::ops {

struct RelativePositionBiasCase {
  const char* name;
  std::int64_t heads;
  std::int64_t buckets;
  std::int64_t q_len;
  std::int64_t k_len;
};

inline constexpr RelativePositionBiasCase kRelativePositionBiasCases[] = {
    {"one_token", 3, 32, 1, 1},
    {"square", 4, 32, 37, 37},
    {"few_queries", 2, 8, 3, 70},
    {"many_queries", 5, 4, 130, 9},
};

}  // namespace sparsevid::ops
