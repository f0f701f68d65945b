#include <gtest/gtest.h>

#include <vector>

#include "base/cpu_features.h"
#include "ops/band_attention_cases.h"
#include "ops/block_sparse_attention_cases.h"
#include "ops/cpu/attention.h"
#include "ops/cpu/band_attention.h"
#include "ops/cpu/block_sparse_attention.h"
#include "testing/compare.h"

namespace sparsevid::ops::cpu {

extern const AttentionKernel kAttentionAmxEmulated;

namespace {

/// The cases in bf16, the only type that AMX takes.
template <typename Case>
std::vector<Case> in_bf16(std::vector<Case> cases) {
  std::erase_if(cases, [](const Case& c) { return c.dtype != DType::bf16; });
  return cases;
}

/// The emulated kernel against the vector kernel. Their blocks of keys differ, so their running
/// maxima and with them the rounding of the weights do: the tolerance against the reference holds.
template <typename Params, typename Run>
void expect_like_the_vector_kernel(const Params& params, double logits, const Run& run) {
  if (cpu_isa() < CpuIsa::avx512_bf16) GTEST_SKIP() << "needs a CPU with AVX-512 BF16";
  Context context;
  run(kAttentionAvx512Bf16, params, context);
  const Tensor expected = clone(params.out);
  run(kAttentionAmxEmulated, params, context);
  EXPECT_TRUE(close(params.out, expected, attention_tolerance(DType::bf16, logits)));
}

class AmxAttention : public ::testing::TestWithParam<AttentionCase> {};
TEST_P(AmxAttention, ComputesWhatTheVectorKernelComputes) {
  const AttentionInputs inputs(GetParam());
  expect_like_the_vector_kernel(inputs.params, GetParam().logits, attention);
}
INSTANTIATE_TEST_SUITE_P(All, AmxAttention, ::testing::ValuesIn(in_bf16(attention_test_cases())),
                         [](const auto& info) { return std::string(info.param.name); });

class AmxBlockSparse : public ::testing::TestWithParam<BlockSparseCase> {};
TEST_P(AmxBlockSparse, ComputesWhatTheVectorKernelComputes) {
  const BlockSparseInputs inputs(GetParam());
  expect_like_the_vector_kernel(inputs.params, GetParam().logits, block_sparse_attention);
}
INSTANTIATE_TEST_SUITE_P(All, AmxBlockSparse,
                         ::testing::ValuesIn(in_bf16(block_sparse_test_cases())),
                         [](const auto& info) { return std::string(info.param.name); });

class AmxBand : public ::testing::TestWithParam<BandCase> {};
TEST_P(AmxBand, ComputesWhatTheVectorKernelComputes) {
  const BandInputs inputs(GetParam());
  expect_like_the_vector_kernel(inputs.params, 1, band_attention);
}
INSTANTIATE_TEST_SUITE_P(All, AmxBand, ::testing::ValuesIn(in_bf16(band_test_cases())),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sparsevid::ops::cpu
