// From prompt to frames against what diffusers' WanPipeline computed on the same tiny checkpoints.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "io/image_io.h"
#include "io/video_format.h"
#include "sparsevid/sparsevid.h"
#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

struct Distance {
  double latents;  // relative
  double psnr;     // of the frames, dB
};

Distance distance(const TensorView& latents, const Golden& golden, double squared_error) {
  const auto last = golden.get("timesteps").size(0) - 1;
  const TensorView expected = golden.get("step" + std::to_string(last) + ".latents");
  return {relative_error(latents.reshape(expected.shape()), expected),
          10 * std::log10(255 * 255 / squared_error)};
}

double mean_squared_error(const std::filesystem::path& frames, const TensorView& expected) {
  double sum = 0;
  for (std::int64_t i = 0; i < expected.size(0); ++i) {
    const Image image = read_image(frames / frame_name(i));
    const TensorView frame = expected[i];
    EXPECT_EQ(image.rgb.size(), static_cast<std::size_t>(frame.numel()));
    for (std::int64_t p = 0; p < frame.numel(); ++p)
      sum += std::pow(
          image.rgb[static_cast<std::size_t>(p)] - static_cast<double>(frame.as<std::uint8_t>()[p]),
          2);
  }
  return sum / static_cast<double>(expected.numel());
}

// Case c has a transformer and a scheduler of its own and shares the other parts.
std::filesystem::path model_folder(const std::string& transformer, const TemporaryFolder& work) {
  const auto shared = golden_path("wan_t2v_tiny");
  if (transformer == "wan_t2v_tiny") return shared;
  const auto folder = work.path() / "model";
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(shared / "model_index.json", folder / "model_index.json");
  for (const char* part : {"text_encoder", "tokenizer", "vae"})
    std::filesystem::create_directory_symlink(shared / part, folder / part);
  for (const char* part : {"transformer", "scheduler"})
    std::filesystem::create_directory_symlink(golden_path(transformer) / part, folder / part);
  return folder;
}

class Parity : public ::testing::TestWithParam<const char*> {
 protected:
  Distance generate(Precision precision, const std::string& attention,
                    const std::map<std::string, double>& settings = {}) {
    const std::string name = std::string("wan_t2v_tiny.case_") + GetParam();
    const Json facts = read_golden_json("cases.json").object(name);
    const TemporaryFolder work;
    GenerateOptions options;
    options.prompt = facts.get_string("prompt");
    options.negative_prompt = facts.get_string("negative_prompt");
    options.height = facts.get_int("height", 1, 4096);
    options.width = facts.get_int("width", 1, 4096);
    options.frames = facts.get_int("num_frames", 1, 4096);
    options.steps = facts.get_int("num_inference_steps", 1, 1000);
    options.guidance = facts.get_double("guidance_scale", 0, 100);
    options.seed = static_cast<std::uint64_t>(facts.get_double("seed", 0, 1e18));
    options.precision = precision;
    options.attention = attention;
    options.attention_settings = settings;
    options.output = (work.path() / "frames").string();
    options.save_latents = true;
    options.latents_path = (work.path() / "latents.safetensors").string();
    Model::load(model_folder(facts.get_string("transformer"), work).string()).generate(options);

    const Golden golden = read_golden(name + ".f32.safetensors");
    const SafetensorsFile saved(options.latents_path);
    return distance(saved.get("latents"), golden,
                    mean_squared_error(options.output, golden.get("frames")));
  }
  Json reference_bf16() const {
    return read_golden_json("cases.json")
        .object(std::string("wan_t2v_tiny.case_") + GetParam())
        .object("bf16_against_f32");
  }
};

TEST_P(Parity, Fp32GivesTheReferencesLatentsAndFrames) {
  const Distance result = generate(Precision::f32, "dense");
  EXPECT_LT(result.latents, 1e-4);
  EXPECT_GT(result.psnr, 50);
}

TEST_P(Parity, Bf16IsAsCloseToFp32AsTheReferencesOwnBf16) {
  const Distance result = generate(Precision::bf16, "dense");
  EXPECT_LT(result.latents, 1.1 * reference_bf16().get_double("final_latents_rel", 0, 1));
  // 10 % more error is 0.83 dB less.
  EXPECT_GT(result.psnr, reference_bf16().get_double("frames_psnr_db", 0, 100) - 0.83);
}

TEST_P(Parity, EveryMethodIsDenseAttentionWhenItKeepsEverything) {
  for (const std::string method : {"svg1", "svg2", "semantic-tail"}) {
    const Distance result =
        generate(Precision::f32, method,
                 {{"density", 1}, {"dense_steps", 0}, {"dense_layers", 0}, {"min_tokens", 1}});
    EXPECT_LT(result.latents, 1e-4) << method;
    EXPECT_GT(result.psnr, 50) << method;
  }
}

INSTANTIATE_TEST_SUITE_P(Wan, Parity, ::testing::Values("a", "b", "c"));

}  // namespace
}  // namespace sparsevid
