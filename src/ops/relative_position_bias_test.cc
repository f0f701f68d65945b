#include "ops/relative_position_bias.h"

#include "ops/agreement.h"
#include "ops/relative_position_bias_cases.h"

namespace sparsevid::ops {
namespace {

class RelativePositionBiasCases : public ::testing::TestWithParam<RelativePositionBiasCase> {};

TEST_P(RelativePositionBiasCases, EveryImplementationReadsTheTable) {
  const RelativePositionBiasCase& c = GetParam();
  const Tensor table = random_tensor({c.buckets, c.heads}, 1);
  const Tensor buckets =
      random_integers({c.q_len + c.k_len - 1}, 2, 0, static_cast<int>(c.buckets) - 1);
  const Tensor bias = constant_tensor({c.heads, c.q_len, c.k_len}, 9);
  const RelativePositionBiasParams params{table, buckets, bias};
  expect_agreement(relative_position_bias_implementations(), params, bias, 0);
  for (const std::int64_t head : {std::int64_t{0}, c.heads - 1})
    for (const std::int64_t query : {std::int64_t{0}, c.q_len - 1})
      for (const std::int64_t key : {std::int64_t{0}, c.k_len - 1}) {
        const int bucket = buckets->as<std::int32_t>()[key - query + c.q_len - 1];
        EXPECT_EQ(bias->as<float>()[(head * c.q_len + query) * c.k_len + key],
                  table->as<float>()[bucket * c.heads + head]);
      }
}

INSTANTIATE_TEST_SUITE_P(All, RelativePositionBiasCases,
                         ::testing::ValuesIn(kRelativePositionBiasCases), case_name);

}  // namespace
}  // namespace sparsevid::ops
