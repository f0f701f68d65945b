#include "pipeline/attention_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "attention/default_options.h"
#include "pipeline/fake_recipe.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

TEST(AttentionChoice, EverySettingCanBeSetAndIsDescribed) {
  std::set<std::string> names;
  for (const auto& setting : attention_settings()) {
    AttentionOptions options = default_options("semantic-tail", "", 0);
    set_attention(options, setting.name, 1);
    EXPECT_EQ(describe(options).at("attention." + setting.name), "1") << setting.name;
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_FALSE(setting.help.empty()) << setting.name;
  }
}

TEST(AttentionChoice, ValuesOfTheWrongKindAreRefused) {
  AttentionOptions options;
  const auto refused = [&](const char* name, double value) {
    return error_of(ErrorKind::bad_input, [&] { set_attention(options, name, value); });
  };
  EXPECT_THAT(refused("query_clusters", 2.5), ::testing::HasSubstr("--query-clusters"));
  EXPECT_THAT(refused("query_clusters", -1), ::testing::HasSubstr("--query-clusters"));
  EXPECT_THAT(refused("tail", 0.5), ::testing::HasSubstr("--tail"));
}

TEST(AttentionChoice, ReleasedSettingsOfTheModelAndHeightAreTheDefault) {
  const FakeRecipe recipe;
  GenerateOptions options;
  options.attention = "svg2";
  const AttentionOptions at_720p = choose_attention(recipe, 720, options);
  EXPECT_EQ(at_720p.query_clusters, 300);
  EXPECT_EQ(at_720p.key_clusters, 1000);
  EXPECT_EQ(at_720p.top_p, 0.9);
  EXPECT_FALSE(at_720p.density.has_value());
}

TEST(AttentionChoice, ADensityReplacesTheDefaultTopP) {
  const FakeRecipe recipe;
  GenerateOptions options;
  options.attention = "svg2";
  options.attention_settings["density"] = 0.2;
  const AttentionOptions chosen = choose_attention(recipe, 720, options);
  EXPECT_EQ(chosen.density, 0.2);
  EXPECT_FALSE(chosen.top_p.has_value());
}

TEST(AttentionChoice, TheCheckpointsSettingsHoldForItsOwnMethodOnly) {
  FakeRecipe recipe;
  recipe.defaults_.attention = "semantic-tail";
  recipe.defaults_.attention_settings = {{"density", 0.4}, {"dense_steps", 0.3}};
  GenerateOptions options;
  EXPECT_EQ(choose_attention(recipe, 480, options).density, 0.4);
  options.attention_settings["density"] = 0.1;
  EXPECT_EQ(choose_attention(recipe, 480, options).density, 0.1);
  EXPECT_EQ(choose_attention(recipe, 480, options).dense_steps, 0.3);
  options = {};
  options.attention = "svg1";
  EXPECT_NE(choose_attention(recipe, 480, options).density, 0.4);
}

// Every layer and branch keeps its clusters: as plain numbers they would take 3.5 GB.
TEST(AttentionChoice, KeepsTheClustersOfWan14bInLessThanAGigabyte) {
  const AttentionSize one = {
      .heads = 40, .head_dim = 128, .layers = 1, .branches = 1, .tokens = 75'600};
  AttentionSize all = one;
  all.layers = 40;
  all.branches = 2;
  const AttentionOptions options = default_options("semantic-tail", "", 720);
  EXPECT_LT(attention_bytes(options, all).kept - attention_bytes(options, one).kept, 800'000'000);
}

TEST(AttentionChoice, MemoryGrowsWithTheClusters) {
  const AttentionSize size = {
      .heads = 4, .head_dim = 64, .layers = 2, .branches = 2, .tokens = 4000};
  EXPECT_EQ(attention_bytes(default_options("dense", "", 0), size).kept, 0U);
  AttentionOptions dense = default_options("dense", "", 0);
  dense.in_8bit = true;
  EXPECT_GT(attention_bytes(dense, size).scratch, 3U * 4 * 64 * 4000);
  AttentionOptions options = default_options("semantic-tail", "", 0);
  options.key_clusters = 100;
  const auto few = attention_bytes(options, size);
  options.key_clusters = 200;
  const auto many = attention_bytes(options, size);
  EXPECT_GT(many.kept, few.kept);
  EXPECT_GT(many.scratch, few.scratch);
}

TEST(AttentionChoice, MemoryOfSparseAttentionIn8BitsHoldsRoundedRowsAndIsBounded) {
  AttentionSize size = {.heads = 4,
                        .head_dim = 64,
                        .layers = 1,
                        .branches = 1,
                        .tokens = 4000,
                        .device = Device::cuda};
  AttentionOptions options = default_options("semantic-tail", "", 0);
  options.in_8bit = true;
  options.query_clusters = 200;  // by themselves devices have different ones
  options.key_clusters = 400;
  AttentionSize on_cpu = size;
  on_cpu.device = Device::cpu;
  AttentionOptions in_model_type = options;
  in_model_type.in_8bit = false;
  const auto kernel = [&] {
    return attention_bytes(options, size).scratch - attention_bytes(in_model_type, on_cpu).scratch;
  };
  EXPECT_GT(kernel(), 3U * 4 * 64 * 4000);
  size.tokens = on_cpu.tokens = 200'000;
  size.heads = on_cpu.heads = 40;
  EXPECT_EQ(kernel(), 1'200'000'000U);
}

}  // namespace
}  // namespace sparsevid
