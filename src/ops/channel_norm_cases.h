// The cases that test and time ops/channel_norm.h.
#pragma once

#include <string_view>
#include <vector>

#include "ops/agreement.h"
#include "ops/channel_norm.h"

namespace sparsevid::ops {

struct ChannelNormCase {
  std::string_view name;
  std::int64_t rows, channels;
  DType dtype;
  bool silu;
};

inline std::vector<ChannelNormCase> channel_norm_cases() {
  return {
      {"SixteenF32", 100, 16, DType::f32, false},
      {"SixteenSiluBf16", 100, 16, DType::bf16, true},
      {"ThirtyTwoSiluF32", 100, 32, DType::f32, true},
      {"SixtyFourBf16", 1000, 64, DType::bf16, false},
      {"NinetySixSiluF32", 3000, 96, DType::f32, true},
      {"EightSiluF32", 33, 8, DType::f32, true},
      {"OddF32", 33, 37, DType::f32, false},
      {"OddSiluBf16", 33, 37, DType::bf16, true},
      {"WideSiluBf16", 5, 384, DType::bf16, true},
      {"OneByOneF32", 1, 1, DType::f32, true},
  };
}

struct ChannelNormInputs {
  Tensor x, gamma, out;
  ChannelNormParams params;

  explicit ChannelNormInputs(const ChannelNormCase& c)
      : x(random_tensor({c.rows, c.channels}, 1, c.dtype)),
        gamma(random_tensor({c.channels}, 2)),
        out(c.dtype, {c.rows, c.channels}),
        params{x, gamma, c.silu, out} {}
};

}  // namespace sparsevid::ops
