#include "pipeline/recipes/defaults_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/expect_error.h"

namespace sparsevid {
namespace {

const RecipeLimits kLimits = {.size_multiple = 16,
                              .frame_multiple = 4,
                              .max_side = 1024,
                              .max_frames = 101,
                              .max_text_tokens = 512};

RecipeDefaults defaults_from(std::string_view text) {
  RecipeDefaults defaults = {.height = 480,
                             .width = 832,
                             .frames = 81,
                             .fps = 16,
                             .steps = 50,
                             .guidance = 5,
                             .attention = "dense",
                             .attention_settings = {}};
  apply_defaults_file(Json::parse(text, "sparsevid.json"), kLimits, defaults);
  return defaults;
}

TEST(DefaultsFile, ReplacesOnlyWhatItNames) {
  const RecipeDefaults defaults = defaults_from(R"({"height": 320, "fps": 8})");
  EXPECT_EQ(defaults.height, 320);
  EXPECT_EQ(defaults.fps, 8);
  EXPECT_EQ(defaults.width, 832);
  EXPECT_EQ(defaults.attention, "dense");
}

TEST(DefaultsFile, CanRecommendAnAttentionMethodWithSettings) {
  const RecipeDefaults defaults =
      defaults_from(R"({"attention": {"method": "semantic-tail", "density": 0.15}})");
  EXPECT_EQ(defaults.attention, "semantic-tail");
  EXPECT_EQ(defaults.attention_settings, (std::map<std::string, double>{{"density", 0.15}}));
}

TEST(DefaultsFile, ValuesTheModelCannotMakeAreRefused) {
  const auto refused = [](std::string_view text) {
    return error_of(ErrorKind::bad_file, [&] { defaults_from(text); });
  };
  EXPECT_THAT(refused(R"({"height": 100})"), ::testing::HasSubstr("100"));
  EXPECT_THAT(refused(R"({"steps": 20})"), ::testing::HasSubstr("'steps'"));
  EXPECT_THAT(refused("[320]"), ::testing::HasSubstr("expected an object"));
  EXPECT_THAT(refused(R"({"num_frames": 80})"), ::testing::HasSubstr("num_frames"));
  EXPECT_THAT(refused(R"({"num_inference_steps": 0})"),
              ::testing::HasSubstr("num_inference_steps"));
  EXPECT_THAT(refused(R"({"attention": {"density": "half"}})"), ::testing::HasSubstr("density"));
}

}  // namespace
}  // namespace sparsevid
