#include "io/model_folder.h"

#include <gtest/gtest.h>

#include "testing/expect_error.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

const std::string kIndex = R"({"_class_name": "WanPipeline", "_diffusers_version": "0.42.1",
  "transformer": ["diffusers", "WanTransformer3DModel"], "vae": ["diffusers", "AutoencoderKLWan"],
  "scheduler": ["diffusers", "UniPCMultistepScheduler"], "transformer_2": [null, null],
  "tokenizer": ["transformers", "T5TokenizerFast"], "boundary_ratio": 0.9,
  "expand_timesteps": false})";

TEST(ModelFolder, ListsItsComponentsAndTheirConfigs) {
  const TemporaryFolder folder;
  folder.write("model_index.json", kIndex);
  folder.write("transformer/config.json", R"({"num_layers": 2})");
  folder.write("scheduler/scheduler_config.json", R"({"flow_shift": 3.0})");
  folder.write("tokenizer/tokenizer_config.json", R"({"extra_ids": 300})");
  const ModelFolder model(folder.path());
  EXPECT_EQ(model.pipeline_class(), "WanPipeline");
  EXPECT_EQ(model.components().size(), 4U);
  EXPECT_EQ(model.components().at("vae"), "AutoencoderKLWan");
  EXPECT_FALSE(model.has("transformer_2"));
  EXPECT_FALSE(model.has("boundary_ratio"));
  EXPECT_EQ(model.index().get_double("boundary_ratio", 0, 1), 0.9);
  EXPECT_EQ(model.component("transformer"), folder / "transformer");
  EXPECT_EQ(model.config("transformer").get_int("num_layers", 1, 9), 2);
  EXPECT_EQ(model.config("scheduler").get_double("flow_shift", 0, 9), 3.0);
  EXPECT_EQ(model.config("tokenizer").get_int("extra_ids", 0, 999), 300);
  EXPECT_FALSE(model.defaults().has_value());
}

TEST(ModelFolder, ReadsOurOwnDefaultsWhenThereAreSome) {
  const TemporaryFolder folder;
  folder.write("model_index.json", kIndex);
  folder.write("sparsevid.json", R"({"num_inference_steps": 20})");
  const ModelFolder model(folder.path());
  ASSERT_TRUE(model.defaults().has_value());
  EXPECT_EQ(model.defaults()->get_int("num_inference_steps", 1, 100), 20);
}

TEST(ModelFolder, FoldersThatAreNoPipelineAreNamed) {
  const TemporaryFolder folder;
  const auto open = [&](const std::filesystem::path& path) {
    return error_of(ErrorKind::bad_file, [&] { ModelFolder{path}; });
  };
  EXPECT_EQ(open(folder / "none"), (folder / "none").string() + ": no such model folder");
  EXPECT_EQ(open(folder.path()),
            folder.path().string() + ": the model folder is empty or cannot be listed");
  EXPECT_EQ(open(""), "expected a model folder, found an empty path");
  EXPECT_NE(open(folder.write("file", "x")).find("found a file"), std::string::npos);
  EXPECT_EQ(open(folder.path()), folder.path().string() +
                                     ": expected a diffusers pipeline folder with "
                                     "model_index.json");
  folder.write("config.json", "{}");
  folder.write("diffusion_pytorch_model.safetensors", "x");
  EXPECT_NE(open(folder.path()).find("found a single component"), std::string::npos);
}

TEST(ModelFolder, OtherWaysToKeepTheSameModelAreNamed) {
  const auto message_of = [](const std::vector<const char*>& files) {
    const TemporaryFolder folder;
    for (const auto* file : files) folder.write(file, "{}");
    return error_of(ErrorKind::bad_file, [&] { ModelFolder{folder.path()}; });
  };
  // As Wan-AI/Wan2.1-T2V-1.3B is published, and as other programs keep one file.
  for (const auto& files :
       {std::vector{"config.json", "Wan2.1_VAE.pth", "diffusion_pytorch_model.safetensors"},
        std::vector{"wan2.1_t2v_1.3B_bf16.safetensors"}, std::vector{"wan.gguf"}})
    EXPECT_NE(message_of(files).find("found weights in another layout; what is needed is the "
                                     "checkpoint for diffusers"),
              std::string::npos)
        << message_of(files);
  EXPECT_NE(message_of({"snapshots/0123/model_index.json", "refs/main"})
                .find("found a download cache; give a folder in its snapshots/"),
            std::string::npos);
}

TEST(ModelFolder, BrokenIndexesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{", "model_index.json: broken JSON at line 1"},
      {"[]", "model_index.json: expected an object"},
      {"{}", "model_index.json: key '_class_name' is missing"},
      {R"({"_class_name": 5})", "'_class_name': expected a string, found 5"},
      {R"({"_class_name": "W", "vae": ["diffusers"]})", "component 'vae': expected [library"},
      {R"({"_class_name": "W", "vae": ["diffusers", 3]})", "component 'vae': expected [library"},
  };
  for (const auto& [text, expected] : cases) {
    const TemporaryFolder folder;
    folder.write("model_index.json", text);
    const auto message = error_of(ErrorKind::bad_file, [&] { ModelFolder{folder.path()}; });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(ModelFolder, MissingComponentsAndConfigsAreNamed) {
  const TemporaryFolder folder;
  folder.write("model_index.json", kIndex);
  folder.write("transformer/other.txt", "");
  std::filesystem::create_directory(folder / "scheduler");
  const ModelFolder model(folder.path());
  EXPECT_NE(error_of(ErrorKind::bad_file, [&] { model.component("image_encoder"); })
                .find("model_index.json: names no component 'image_encoder'"),
            std::string::npos);
  EXPECT_EQ(error_of(ErrorKind::bad_file, [&] { model.component("vae"); }),
            (folder / "vae").string() + ": the folder of component 'vae' is missing");
  EXPECT_NE(error_of(ErrorKind::bad_file, [&] { model.component("scheduler"); }).find("is empty"),
            std::string::npos);
  EXPECT_NE(error_of(ErrorKind::bad_file, [&] { model.config("transformer"); }).find("config.json"),
            std::string::npos);
}

TEST(ModelFolder, ClaimsItsFilesAndWhatWouldBeTakenForOne) {
  const TemporaryFolder folder;
  folder.write("model/model_index.json", kIndex);
  folder.write("model/transformer/config.json", "{}");
  folder.write("model/out/run.json", "{}");
  folder.write("blobs/0123", "weights");
  const auto at = folder / "model";
  std::filesystem::create_directory(at / "vae");
  std::filesystem::create_symlink(folder / "blobs/0123", at / "vae/weights.safetensors");
  std::filesystem::create_symlink(at / "transformer/config.json", folder / "link.json");
  const ModelFolder model(at);
  for (const auto& own : {at / "model_index.json", at / "sparsevid.json", at / "transformer",
                          at / "transformer/config.json", at / "transformer/new.safetensors",
                          at / "out/../transformer/config.json", at / "vae/weights.safetensors",
                          folder / "blobs/0123", folder / "link.json"})
    EXPECT_TRUE(model.claims(own)) << own;
  for (const auto& other : {at / "clip.mp4", at / "out/run.json", folder / "blobs/4567",
                            folder / "transformer/config.json", at / "transformer.json"})
    EXPECT_FALSE(model.claims(other)) << other;
}

TEST(ModelFolder, OpensTheGoldenModel) {
  const ModelFolder model(golden_path("wan_t2v_tiny"));
  EXPECT_EQ(model.pipeline_class(), "WanPipeline");
  for (const auto& [name, class_name] : model.components()) {
    EXPECT_TRUE(std::filesystem::is_directory(model.component(name))) << name;
  }
}

}  // namespace
}  // namespace sparsevid
