#include "models/vae/wan_vae.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/to_rgb8.h"
#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/random_tensor.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

constexpr double kTolerance = 1e-4;

using ops::F32Products;

std::unique_ptr<WanVae> load(DType dtype, Context& context) {
  const auto path = golden_path("wan_t2v_tiny") / "vae";
  return std::make_unique<WanVae>(WanVaeConfig::parse(Json::read(path / "config.json")),
                                  std::make_shared<Checkpoint>(path), dtype, F32Products::exact,
                                  context);
}

// [3, frames, height, width] as [frames, height, width, 3], both ways of looking at the same data.
TensorView channels_last(const TensorView& x) {
  return x.transpose(0, 1).transpose(1, 2).transpose(2, 3);
}

// All frames of a decode in one tensor, clamped as the reference does.
Tensor decode(WanVae& vae, const TensorView& latents, Context& context) {
  Tensor video(DType::f32, {4 * latents.size(1) - 3, 8 * latents.size(2), 8 * latents.size(3), 3});
  float* next = video->as<float>();
  vae.decode(
      latents,
      [&](const TensorView& frames) {
        const float* values = frames.as<float>();
        next = std::transform(values, values + frames.numel(), next,
                              [](float x) { return std::clamp(x, -1.0F, 1.0F); });
      },
      context);
  EXPECT_EQ(next - video->as<float>(), video->numel());
  return video;
}

TensorView last_latents(const Golden& golden) {
  return golden.get("step" + std::to_string(golden.get("timesteps").size(0) - 1) + ".latents")[0];
}

TEST(WanVae, DecodedFramesAgreeWithTheReferenceInFp32) {
  Context context;
  const auto vae = load(DType::f32, context);
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const Tensor video = decode(*vae, last_latents(golden), context);
  EXPECT_TRUE(close(video, channels_last(golden.get("vae.output")[0]), kTolerance));

  Tensor bytes(DType::u8, video->shape());
  ops::to_rgb8({.x = video, .out = bytes}, context);
  // A value at the edge of a step of 1/255 may fall to either side.
  EXPECT_LE(max_abs_error(bytes, golden.get("frames")), 1);
  EXPECT_LT(relative_error(bytes, golden.get("frames")), 1e-3);
}

TEST(WanVae, LaterChunksRememberWhatTheyNeed) {
  Context context;
  const auto vae = load(DType::f32, context);
  const Golden golden = read_golden("wan_t2v_tiny.case_b.f32.safetensors");
  const Tensor video = decode(*vae, last_latents(golden), context);
  Tensor bytes(DType::u8, video->shape());
  ops::to_rgb8({.x = video, .out = bytes}, context);
  ASSERT_EQ(video->size(0), 17);
  EXPECT_LE(max_abs_error(bytes, golden.get("frames")), 1);
  EXPECT_LT(relative_error(bytes, golden.get("frames")), 1e-3);
}

TEST(WanVae, EncodedClipsAgreeWithTheReferenceInFp32) {
  Context context;
  const auto vae = load(DType::f32, context);
  const Json config = Json::read(golden_path("wan_t2v_tiny/vae/config.json"));
  const auto mean = config.get_doubles("latents_mean", -1e6, 1e6);
  const auto deviation = config.get_doubles("latents_std", 0, 1e6);
  for (const std::string name : {"case_a", "case_b"}) {
    const Golden golden = read_golden("wan_t2v_tiny." + name + ".f32.safetensors");
    const Tensor clip = clone(channels_last(golden.get("vae.encoder_input")[0]));
    const Tensor latents = vae->encode(clip, context);
    const Tensor expected = clone(golden.get("vae.encoder_mean")[0]);
    const std::int64_t per_channel = expected->numel() / expected->size(0);
    for (std::int64_t i = 0; i < expected->numel(); ++i) {
      const auto channel = static_cast<std::size_t>(i / per_channel);
      float& value = expected->as<float>()[i];
      value = static_cast<float>((value - mean[channel]) / deviation[channel]);
    }
    EXPECT_TRUE(close(latents, expected, kTolerance)) << name;
  }
}

TEST(WanVae, Bf16StaysCloseToFp32) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const Tensor exact = decode(*load(DType::f32, context), last_latents(golden), context);
  const Tensor rounded = decode(*load(DType::bf16, context), last_latents(golden), context);
  // About 30 layers, each rounding to 8 bits of mantissa.
  EXPECT_LT(relative_error(rounded, exact), std::sqrt(30.0) * 0x1p-8);
  EXPECT_GT(relative_error(rounded, exact), 1e-4);
}

TEST(WanVae, ScratchDoesNotGrowWithTheClip) {
  Context context;
  const auto vae = load(DType::f32, context);
  const Tensor one = random_tensor({16, 3, 4, 4}, 1);
  const Tensor longer = random_tensor({16, 9, 4, 4}, 1);
  decode(*vae, one, context);
  const std::size_t peak = context.arena.peak();
  decode(*vae, longer, context);
  EXPECT_EQ(context.arena.peak(), peak);
  EXPECT_LE(peak, vae->decode_workspace_bytes(one->shape()));
}

TEST(WanVae, SizesThatCannotBeEncodedAreRefused) {
  Context context;
  const auto vae = load(DType::f32, context);
  EXPECT_THROW(vae->encode(random_tensor({4, 16, 16, 3}, 1), context), Error);
  EXPECT_THROW(vae->encode(random_tensor({5, 16, 20, 3}, 1), context), Error);
}

TEST(WanVae, ThePublishedModelHasTheTensorsThatTheReferenceHas) {
  const TemporaryFolder folder;
  folder.write("model.safetensors",
               safetensors_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  WanVaeConfig config =
      WanVaeConfig::parse(Json::read(golden_path("wan_t2v_tiny/vae/config.json")));
  config.base_dim = 96;
  EXPECT_EQ(WanVae::check(config, Checkpoint(folder.path())).missing.size(), 194U);
  const MemoryNeed need =
      WanVae::memory(config, DType::f32, F32Products::exact, Device::cpu, {16, 21, 60, 104});
  EXPECT_EQ(need.weights / sizeof(float), 126892531U);
  // The decoder, whose weights are kept packed as well, is more than half of them.
  const MemoryNeed small =
      WanVae::memory(config, DType::f32, F32Products::exact, Device::cpu, {16, 1, 1, 1});
  EXPECT_GT(small.kept, need.weights / 2);
}

TEST(WanVae, SplitProductsTakeTheLargestInputOnceMore) {
  WanVaeConfig config =
      WanVaeConfig::parse(Json::read(golden_path("wan_t2v_tiny/vae/config.json")));
  config.base_dim = 96;
  const Shape latents = {16, 21, 60, 104};
  const auto need = [&](F32Products products) {
    return WanVae::memory(config, DType::f32, products, Device::cuda, latents);
  };
  const MemoryNeed exact = need(F32Products::exact);
  // Four frames of 96 channels and two that are remembered.
  const std::size_t staged = std::size_t{6} * 480 * 832 * 96 * sizeof(float);
  EXPECT_EQ(need(F32Products::bf16x3).workspace, exact.workspace + staged);
  EXPECT_EQ(need(F32Products::tf32).workspace, exact.workspace);
  // Both halves are kept, of whole steps of channels, but of no more columns than there are.
  EXPECT_EQ(need(F32Products::tf32).kept, exact.kept);
  EXPECT_LT(need(F32Products::bf16x3).kept, exact.kept);
  EXPECT_GT(need(F32Products::bf16x3).kept, exact.kept - exact.kept / 50);
  EXPECT_EQ(need(F32Products::bf16x3).weights, exact.weights);
}

}  // namespace
}  // namespace sparsevid
