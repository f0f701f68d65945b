#include "nn/timestep_embedding.h"

#include <gtest/gtest.h>

#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"

namespace sparsevid::nn {
namespace {

TEST(TimestepEmbedding, MatchesDiffusers) {
  const Golden golden = read_golden("ops.safetensors");
  const TensorView& timesteps = golden.get("sinusoid.t");
  const TensorView& expected = golden.get("sinusoid.embedding");
  for (std::int64_t i = 0; i < timesteps.numel(); ++i) {
    const double timestep = element(timesteps, i);
    const Tensor out(DType::f32, {256});
    timestep_embedding(timestep, out);
    // exp may differ by one ulp, 2^-23 of an angle of up to `timestep`.
    EXPECT_TRUE(close_abs(out, expected[i], 2e-7 * (1 + timestep))) << timestep;
  }
}

TEST(TimestepEmbedding, StartsWithTheCosines) {
  const Tensor out(DType::f32, {5});
  timestep_embedding(0, out);
  EXPECT_TRUE(bit_equal(out, tensor_of({5}, {1, 1, 0, 0, 0})));
}

}  // namespace
}  // namespace sparsevid::nn
