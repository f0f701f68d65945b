// The C++ API on the tiny checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sparsevid/sparsevid.h"
#include "testing/expect_error.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

std::string tiny() { return golden_path("wan_t2v_tiny").string(); }

GenerateOptions small_clip(const TemporaryFolder& folder) {
  GenerateOptions options;
  options.prompt = "a red fox";
  options.output = (folder / "clip.mp4").string();
  options.height = 32;
  options.width = 32;
  options.frames = 5;
  options.steps = 2;
  return options;
}

class Recorder final : public Observer {
 public:
  void progress(const Progress& progress) override {
    stages.push_back(progress.stage);
    if (progress.stage == Stage::sampling && stop != nullptr) *stop = true;
  }
  void warning(std::string_view line) override { warnings.emplace_back(line); }
  std::vector<Stage> stages;
  std::vector<std::string> warnings;
  std::atomic<bool>* stop = nullptr;
};

TEST(Model, GeneratesAClipAndReportsOnIt) {
  const TemporaryFolder folder;
  Recorder recorder;
  const GenerateResult result = Model::load(tiny()).generate(small_clip(folder), &recorder);
  EXPECT_TRUE(std::filesystem::exists(folder / "clip.mp4"));
  EXPECT_TRUE(result.latents.empty());
  EXPECT_GT(result.sampling_seconds, 0);
  EXPECT_GT(result.attention_seconds, 0);
  EXPECT_EQ(result.density, 1);
  EXPECT_THAT(result.report, ::testing::HasSubstr("\"prompt\": \"a red fox\""));
  EXPECT_THAT(recorder.stages, ::testing::IsSupersetOf({Stage::loading, Stage::text,
                                                        Stage::sampling, Stage::decoding}));
}

TEST(Model, WarnsThroughTheObserver) {
  const TemporaryFolder folder;
  GenerateOptions options = small_clip(folder);
  for (int i = 0; i < 600; ++i) options.prompt += " snow";
  Recorder recorder;
  Model::load(tiny()).generate(options, &recorder);
  EXPECT_THAT(recorder.warnings, ::testing::ElementsAre(::testing::HasSubstr("--prompt")));
}

TEST(Model, StopsOnRequestAndLeavesNothing) {
  const TemporaryFolder folder;
  std::atomic<bool> stop = false;
  GenerateOptions options = small_clip(folder);
  options.cancel = &stop;
  Recorder recorder;
  recorder.stop = &stop;
  error_of(ErrorKind::cancelled, [&] { Model::load(tiny()).generate(options, &recorder); });
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Model, WhatAnObserverThrowsEndsTheRun) {
  class Thrower final : public Observer {
   public:
    void progress(const Progress&) override { throw Error(ErrorKind::io, "the pipe is closed"); }
  };
  const TemporaryFolder folder;
  Thrower thrower;
  EXPECT_EQ(
      error_of(ErrorKind::io, [&] { Model::load(tiny()).generate(small_clip(folder), &thrower); }),
      "the pipe is closed");
}

TEST(Inspect, DescribesTheCheckpoint) {
  const ModelInfo info = inspect(tiny());
  EXPECT_TRUE(info.usable());
  EXPECT_EQ(info.pipeline_class, "WanPipeline");
  EXPECT_EQ(info.components.size(), 3U);
  EXPECT_EQ(info.memory.size(), 2U);
  EXPECT_GT(info.components[0].parameters, 0U);
}

TEST(Inspect, ListsProblemsThatLoadingRefuses) {
  const TemporaryFolder folder;
  std::filesystem::copy(tiny(), folder / "model", std::filesystem::copy_options::recursive);
  const std::string file = "model/vae/diffusion_pytorch_model.safetensors";
  truncate_file(folder / file, 1000);
  const ModelInfo info = inspect((folder / "model").string());
  EXPECT_FALSE(info.usable());
  EXPECT_THAT(error_of(ErrorKind::bad_file, [&] { Model::load((folder / "model").string()); }),
              ::testing::HasSubstr("vae"));
}

TEST(AttentionLists, NameTheMethodsAndTheirSettings) {
  std::vector<std::string> names;
  for (const auto& method : attention_method_list()) names.push_back(method.name);
  EXPECT_THAT(names, ::testing::IsSupersetOf({"dense", "svg1", "svg2", "semantic-tail"}));
  names.clear();
  for (const auto& setting : attention_setting_list()) names.push_back(setting.name);
  EXPECT_THAT(names, ::testing::IsSupersetOf({"density", "top_p", "dense_steps", "tail"}));
}

}  // namespace
}  // namespace sparsevid
