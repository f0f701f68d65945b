// A family without weights, for tests of the pipeline.
#pragma once

#include "base/error.h"
#include "io/json.h"
#include "pipeline/recipe.h"

namespace sparsevid {

class FakeRecipe : public Recipe {
 public:
  FakeRecipe()
      : scheduler_(
            Json::parse(R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0})",
                        "scheduler_config.json")) {
    defaults_ = {.height = 64,
                 .width = 96,
                 .frames = 9,
                 .fps = 16,
                 .steps = 4,
                 .guidance = 5,
                 .attention = "dense",
                 .attention_settings = {}};
    limits_ = {.size_multiple = 16,
               .frame_multiple = 4,
               .max_side = 1024,
               .max_frames = 101,
               .max_text_tokens = 512};
  }

  std::string_view family() const override { return "Fake"; }
  const std::string& pipeline_class() const override { return class_; }
  std::string_view attention_family() const override { return "wan-t2v"; }
  int attention_head_dim() const override { return 128; }
  const std::filesystem::path& folder() const override { return folder_; }
  bool claims(const std::filesystem::path& file) const override {
    return file.filename() == "model_index.json";
  }
  const RecipeDefaults& defaults() const override { return defaults_; }
  const RecipeLimits& limits() const override { return limits_; }
  const Scheduler& scheduler() const override { return scheduler_; }
  Shape latent_shape(int height, int width, int frames) const override {
    return {16, (frames - 1) / 4 + 1, height / 8, width / 8};
  }
  std::array<int, 3> clip_size(const Shape& latents) const override {
    return {static_cast<int>(latents[1] - 1) * 4 + 1, static_cast<int>(latents[2]) * 8,
            static_cast<int>(latents[3]) * 8};
  }
  PromptTokens tokenize(const std::string& prompt) const override {
    return {std::vector<int>(prompt.empty() ? 1 : 2, 1), 0};
  }
  std::unique_ptr<TextEncoder> load_text_encoder(const Settings&, Context&) const override {
    fail(ErrorKind::internal, "the fake has no text encoder");
  }
  std::unique_ptr<Dit> load_dit(const Settings&, Context&) const override {
    fail(ErrorKind::internal, "the fake has no transformer");
  }
  std::unique_ptr<Vae> load_vae(const Settings&, Context&) const override {
    fail(ErrorKind::internal, "the fake has no decoder");
  }
  int blocks() const override { return 10; }
  /// 100 MiB, of which each streamed block keeps 8 on the host, and 1 KiB for each pixel of the
  /// clip; f32 takes twice as much as bf16. The text encoder's weights take 10 bytes, or 200 MiB if
  /// `large_text`, unless they are offloaded. Decoding takes 400 MiB if its products are split.
  MemoryPlan memory_plan(const Settings& settings) const override {
    const auto pixels = static_cast<std::uint64_t>(settings.height) *
                        static_cast<std::uint64_t>(settings.width) *
                        static_cast<std::uint64_t>(settings.frames);
    const std::uint64_t factor = settings.dtype == DType::f32 ? 2 : 1;
    const std::uint64_t streamed = (factor * 8 * static_cast<unsigned>(settings.streamed_blocks))
                                   << 20;
    const std::uint64_t text = settings.offload == Offload::none && large_text ? 200 << 20 : 10;
    MemoryPlan plan = {{{"text", {{"text encoder weights", text}}},
                        {"sampling",
                         {{"weights", ((factor * 100) << 20) - streamed},
                          {"activations", (factor * pixels) << 10}}}},
                       streamed};
    if (settings.vae_products == ops::F32Products::bf16x3)
      plan.phases.push_back({"decoding", {{"activations", 400 << 20}}});
    return plan;
  }
  std::vector<ComponentInfo> components() const override { return {}; }

  RecipeDefaults defaults_;
  RecipeLimits limits_;
  bool large_text = false;

 private:
  std::string class_ = "FakePipeline";
  std::filesystem::path folder_ = "fake";
  Scheduler scheduler_;
};

}  // namespace sparsevid
