#include "nn/rope.h"

#include <gtest/gtest.h>

#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"

namespace sparsevid::nn {
namespace {

TEST(Rope, SplitsAHeadAsWanDoes) {
  EXPECT_EQ(rope_axis_dims(128), (std::array<int, 3>{44, 42, 42}));
  EXPECT_EQ(rope_axis_dims(64), (std::array<int, 3>{24, 20, 20}));
  EXPECT_EQ(rope_axis_dims(12), (std::array<int, 3>{4, 4, 4}));
}

TEST(Rope, MatchesDiffusers) {
  const Golden golden = read_golden("ops.safetensors");
  for (const int head_dim : {128, 64}) {
    const std::string name = "rope" + std::to_string(head_dim);
    const Tensor cos(DType::f32, {72, head_dim / 2});
    const Tensor sin(DType::f32, {72, head_dim / 2});
    rope_tables({3, 4, 6}, rope_axis_dims(head_dim), 10000, cos, sin);
    for (const auto& [table, view] : {std::pair{".cos", cos.view()}, {".sin", sin.view()}}) {
      const TensorView& expected = golden.get(name + table);  // each value twice in a row
      for (std::int64_t i = 0; i < view.numel(); ++i) {
        // Both round a double that pow, cos and sin know to 1e-15.
        EXPECT_LE(ulp_distance(view.as<float>()[i], expected.as<float>()[2 * i]), 1) << name << i;
        EXPECT_EQ(expected.as<float>()[2 * i], expected.as<float>()[2 * i + 1]);
      }
    }
  }
}

}  // namespace
}  // namespace sparsevid::nn
