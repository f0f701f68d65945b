// What is offered to be timed, and on what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/bench_case.h"
#include "ops/attention_8bit.h"
#include "ops/attention_8bit_cases.h"
#include "sparsevid/bench.h"

namespace sparsevid {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

BenchOptions on_cpu(const char* filter) {
  BenchOptions options;
  options.device = "cpu";
  options.filter = filter;
  return options;
}

TEST(Bench, LeavesOutOnACpuWhatIsForGpus) {
  EXPECT_THAT(bench_names(on_cpu("block_sparse_attention ")), Contains(HasSubstr("demo")));
  EXPECT_THAT(bench_names(on_cpu("block_sparse_attention ")),
              Not(Contains(HasSubstr("wan_14b_720p"))));
  EXPECT_THAT(bench_names(on_cpu("8bit")), IsEmpty());
}

TEST(Bench, HasRowsOfBothOpsIn8BitsForGpusThatComputeThem) {
  int dense = 0;
  int sparse = 0;
  for (const BenchCase& bench : attention_bench()) {
    if (bench.op == "attention_8bit") ++dense;
    if (bench.op == "block_sparse_attention_8bit") ++sparse;
    if (!bench.op.ends_with("8bit")) continue;
    EXPECT_EQ(bench.device, Device::cuda) << bench.name;
    EXPECT_TRUE(bench.runs_on) << bench.name;
    EXPECT_GT(bench.operations, 0) << bench.name;
  }
  EXPECT_GT(dense, 0);
  EXPECT_GT(sparse, 0);
}

std::vector<BenchResult> results_of(const AttentionBenchOptions& attention) {
  std::vector<BenchResult> results;
  bench_attention(attention, on_cpu(""), [&](const BenchResult& r) { results.push_back(r); });
  return results;
}

TEST(Bench, ComputesAllPairsOfTextInASparseMethod) {
  AttentionBenchOptions attention;
  attention.method = "svg1";
  attention.heads = 2;
  attention.tokens = 600;
  attention.head_dim = 64;
  attention.density = .3;
  attention.steps = 1;
  const auto density_of = [](const std::vector<BenchResult>& results) {
    const std::string& name = results.at(1).name;
    return std::stod(name.substr(name.find("density ") + 8));
  };
  attention.text_tokens = 300;
  const auto with_text = results_of(attention);
  EXPECT_THAT(with_text.at(0).name, HasSubstr("2x600x64, 300 of text"));
  EXPECT_GE(density_of(with_text), .75);
  attention.text_tokens = 0;
  EXPECT_LT(density_of(results_of(attention)), .5);
}

TEST(Bench, GivesPartsOfAMethodAsSharesOfDense) {
  AttentionBenchOptions attention;
  attention.heads = 2;
  attention.tokens = 1200;
  attention.head_dim = 64;
  attention.steps = 2;
  const auto results = results_of(attention);
  int parts = 0;
  for (const BenchResult& result : results) {
    if (result.name.find(" part ") == std::string::npos) continue;
    ++parts;
    EXPECT_EQ(result.baseline, "dense");
    EXPECT_EQ(result.ratio, 0);
    EXPECT_NEAR(result.share, result.us / results.at(0).us, 1e-9 * result.share) << result.name;
  }
  EXPECT_GT(parts, 3);
  EXPECT_EQ(results.at(1).share, 0);
  EXPECT_GT(results.at(1).ratio, 0);
}

TEST(Bench, RefusesMoreTextThanTokens) {
  AttentionBenchOptions attention;
  attention.tokens = 50;
  attention.text_tokens = 50;
  EXPECT_THROW(results_of(attention), Error);
}

TEST(Bench, AsksOnlyTheImplementationsOfTheDevice) {
  const ops::Attention8bitInputs one({"", 1, 1, 1});
  const ops::ImplementationList<ops::Attention8bitParams>& all =
      ops::attention_8bit_implementations();
  Context context;
  EXPECT_TRUE(has_implementation(all, one.params, context));
  // The reference is all that is left, and is no implementation for a GPU.
  const ops::ImplementationList<ops::Attention8bitParams> reference("attention_8bit",
                                                                    {all.entries().back()});
  EXPECT_TRUE(has_implementation(reference, one.params, context));
  context.device = Device::cuda;
  EXPECT_FALSE(has_implementation(reference, one.params, context));
}

}  // namespace
}  // namespace sparsevid
