#include "pipeline/recipes/wan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/recipes/registry.h"
#include "testing/expect_error.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

constexpr const char* kTiny = "wan_t2v_tiny";

TEST(WanRecipe, OpensTheTinyCheckpointWithWansDefaults) {
  const auto recipe = open_recipe(golden_path(kTiny));
  EXPECT_EQ(recipe->defaults().height, 480);
  EXPECT_EQ(recipe->defaults().width, 832);
  EXPECT_EQ(recipe->defaults().frames, 81);
  EXPECT_EQ(recipe->limits().size_multiple, 16);
  EXPECT_EQ(recipe->limits().frame_multiple, 4);
  EXPECT_EQ(recipe->latent_shape(480, 832, 81), (Shape{16, 21, 60, 104}));
  EXPECT_EQ(recipe->clip_size({16, 21, 60, 104}), (std::array<int, 3>{81, 480, 832}));
  for (const auto& component : recipe->components())
    EXPECT_THAT(component.problems, ::testing::IsEmpty()) << component.name;
}

TEST(WanRecipe, CountsTheTokensItHadToCut) {
  const auto recipe = open_recipe(golden_path(kTiny));
  EXPECT_EQ(recipe->tokenize("a red fox").cut, 0);
  std::string words;
  for (int i = 0; i < 600; ++i) words += "snow ";
  const PromptTokens tokens = recipe->tokenize(words);
  EXPECT_EQ(tokens.ids.size(), 512U);
  EXPECT_GT(tokens.cut, 0);
}

TEST(WanRecipe, MemoryOfDecodingDoesNotGrowWithTheLength) {
  const auto recipe = open_recipe(golden_path(kTiny));
  const auto decoding = [&](int frames) {
    Settings settings;
    settings.height = 64;
    settings.width = 64;
    settings.frames = frames;
    settings.decode_only = true;
    const MemoryPlan plan = recipe->memory_plan(settings);
    std::uint64_t bytes = 0;
    for (const auto& item : plan.phases.at(0).items)
      if (item.name != "latents") bytes += item.bytes;
    return bytes;
  };
  EXPECT_EQ(decoding(5), decoding(401));
}

TEST(Registry, RefusesAFamilyItDoesNotKnow) {
  const TemporaryFolder folder;
  folder.write("model_index.json", R"({"_class_name": "FluxPipeline"})");
  EXPECT_THAT(
      error_of(ErrorKind::bad_file, [&] { open_recipe(folder.path()); }),
      ::testing::AllOf(::testing::HasSubstr("FluxPipeline"), ::testing::HasSubstr("WanPipeline")));
}

}  // namespace
}  // namespace sparsevid
