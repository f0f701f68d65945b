#include "pipeline/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "pipeline/fake_recipe.h"
#include "testing/expect_error.h"

namespace sparsevid {
namespace {

GenerateOptions with_prompt() {
  GenerateOptions options;
  options.prompt = "a fox";
  return options;
}

std::string refusal(const std::function<void(GenerateOptions&)>& change) {
  const FakeRecipe recipe;
  GenerateOptions options = with_prompt();
  change(options);
  return error_of(ErrorKind::bad_input, [&] { resolve_settings(recipe, options); });
}

TEST(Settings, UnsetValuesComeFromTheCheckpoint) {
  const FakeRecipe recipe;
  const Settings settings = resolve_settings(recipe, with_prompt());
  EXPECT_EQ(settings.height, 64);
  EXPECT_EQ(settings.width, 96);
  EXPECT_EQ(settings.frames, 9);
  EXPECT_EQ(settings.fps, 16);
  EXPECT_EQ(settings.steps, 4);
  EXPECT_EQ(settings.guidance, 5);
  EXPECT_EQ(settings.flow_shift, 3);
  EXPECT_EQ(settings.attention.method, "dense");
  EXPECT_GE(settings.threads, 1);
}

TEST(Settings, TheCallersValuesWin) {
  const FakeRecipe recipe;
  GenerateOptions options = with_prompt();
  options.height = 32;
  options.frames = 1;
  options.guidance = 0;
  options.flow_shift = 7;
  options.precision = Precision::bf16;
  const Settings settings = resolve_settings(recipe, options);
  EXPECT_EQ(settings.height, 32);
  EXPECT_EQ(settings.frames, 1);
  EXPECT_FALSE(settings.guided());
  EXPECT_EQ(settings.flow_shift, 7);
  EXPECT_EQ(settings.dtype, DType::bf16);
}

TEST(Settings, WrongFrameCountsNameTheNearestValidOnes) {
  const auto refused = [](int frames) {
    return refusal([=](GenerateOptions& options) { options.frames = frames; });
  };
  EXPECT_THAT(refused(6), ::testing::HasSubstr("found 6; nearest: 5 or 9"));
  EXPECT_THAT(refused(0), ::testing::EndsWith("nearest: 1"));
  EXPECT_THAT(refused(4), ::testing::EndsWith("nearest: 1 or 5"));
  EXPECT_THAT(refused(1000), ::testing::EndsWith("nearest: 101"));
  EXPECT_THAT(refused(-3), ::testing::EndsWith("nearest: 1"));
}

TEST(Settings, WrongSizesNameTheNearestValidOnes) {
  EXPECT_THAT(refusal([](auto& options) { options.height = 100; }),
              ::testing::AllOf(::testing::StartsWith("--height"),
                               ::testing::EndsWith("found 100; nearest: 96 or 112")));
  EXPECT_THAT(
      refusal([](auto& options) { options.width = 7; }),
      ::testing::AllOf(::testing::StartsWith("--width"), ::testing::EndsWith("nearest: 16")));
  EXPECT_THAT(refusal([](auto& options) { options.width = 5000; }),
              ::testing::EndsWith("nearest: 1024"));
}

TEST(Settings, EveryOtherBadValueNamesItsFlag) {
  EXPECT_THAT(refusal([](auto& o) { o.prompt.clear(); }), ::testing::HasSubstr("--prompt"));
  EXPECT_THAT(refusal([](auto& o) { o.steps = 0; }), ::testing::HasSubstr("--steps"));
  EXPECT_THAT(refusal([](auto& o) { o.guidance = -1; }), ::testing::HasSubstr("--guidance"));
  EXPECT_THAT(refusal([](auto& o) { o.fps = 0; }), ::testing::HasSubstr("--fps"));
  EXPECT_THAT(refusal([](auto& o) { o.threads = -2; }), ::testing::HasSubstr("--threads"));
  EXPECT_THAT(refusal([](auto& o) { o.device = "tpu"; }), ::testing::HasSubstr("--device"));
  EXPECT_THAT(refusal([](auto& o) { o.attention = "magic"; }), ::testing::HasSubstr("--attention"));
  EXPECT_THAT(refusal([](auto& o) { o.attention_settings["colour"] = 1; }),
              ::testing::HasSubstr("colour"));
}

TEST(Settings, EightBitAttentionNeedsAGpuThatHasIt) {
  EXPECT_THAT(refusal([](auto& o) {
                o.device = "cpu";
                o.attention_in_8bit = true;
              }),
              ::testing::HasSubstr("--attention-dtype 8bit: expected --device cuda, found cpu"));
}

TEST(Settings, TheDecoderIsExactOnTheCpuAndRoundedProductsAreRefusedThere) {
  const FakeRecipe recipe;
  GenerateOptions options = with_prompt();
  options.device = "cpu";
  const auto arithmetic = [&](Precision precision) {
    options.vae_precision = precision;
    return std::string(vae_arithmetic(resolve_settings(recipe, options)));
  };
  EXPECT_EQ(options.vae_precision, Precision::automatic);
  EXPECT_EQ(arithmetic(Precision::automatic), "f32");
  EXPECT_EQ(arithmetic(Precision::f32), "f32");
  EXPECT_EQ(arithmetic(Precision::bf16), "bf16");
  EXPECT_EQ(to_metadata(resolve_settings(recipe, options), recipe).at("vae_dtype"), "bf16");
  for (const auto& [precision, name] :
       {std::pair{Precision::bf16x3, "bf16x3"}, std::pair{Precision::tf32, "tf32"}}) {
    const auto refused = [chosen = precision](auto member) {
      return refusal([&](auto& o) {
        o.device = "cpu";
        o.*member = chosen;
      });
    };
    EXPECT_EQ(
        refused(&GenerateOptions::vae_precision),
        fmt::format("--vae-dtype {}: expected --device cuda, found cpu, where f32 is exact", name));
    EXPECT_EQ(refused(&GenerateOptions::precision),
              fmt::format("--dtype: expected auto, f32 or bf16, found {}", name));
  }
}

TEST(Settings, ADecoderInF32IsNamedByItsProducts) {
  Settings settings;
  EXPECT_EQ(vae_arithmetic(settings), "f32");
  settings.vae_products = ops::F32Products::bf16x3;
  EXPECT_EQ(vae_arithmetic(settings), "bf16x3");
  settings.vae_products = ops::F32Products::tf32;
  EXPECT_EQ(vae_arithmetic(settings), "tf32");
}

std::string warning(const GenerateOptions& options) {
  const FakeRecipe recipe;
  std::string text;
  set_warning_sink(
      [](void* user, std::string_view line) { *static_cast<std::string*>(user) += line; }, &text);
  resolve_settings(recipe, options);
  set_warning_sink(nullptr, nullptr);
  return text;
}

TEST(Settings, FlagsThatSavedLatentsLeaveWithoutEffectAreNamed) {
  GenerateOptions options;
  options.from_latents = "clip.latents.safetensors";
  options.fps = 8;
  options.device = "cpu";
  options.vae_precision = Precision::f32;
  EXPECT_EQ(warning(options), "");
  options.steps = 3;
  EXPECT_EQ(warning(options), "--steps has no effect with --from-latents");
  options.prompt = "a fox";
  options.height = 64;
  options.fp8_linears = true;
  options.attention = "svg2";
  options.attention_settings["top_p"] = .9;
  options.latents_path = "kept.safetensors";
  EXPECT_EQ(warning(options),
            "--prompt, --height, --steps, --attention, --linear, --save-latents, --top-p have no "
            "effect with --from-latents");
}

TEST(Settings, MetadataHoldsWhatIsNeededToRepeatTheRun) {
  const FakeRecipe recipe;
  GenerateOptions options = with_prompt();
  options.seed = 42;
  options.attention = "semantic-tail";
  options.attention_settings["density"] = 0.25;
  const Metadata text = to_metadata(resolve_settings(recipe, options), recipe);
  EXPECT_EQ(text.at("prompt"), "a fox");
  EXPECT_EQ(text.at("seed"), "42");
  EXPECT_EQ(text.at("flow_shift"), "3");
  EXPECT_EQ(text.at("attention"), "semantic-tail");
  EXPECT_EQ(text.at("attention.density"), "0.25");
}

}  // namespace
}  // namespace sparsevid
