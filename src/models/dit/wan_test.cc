#include "models/dit/wan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

#include "io/safetensors.h"
#include "models/dit/exact_attention.h"
#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/temporary_folder.h"

namespace sparsevid {
namespace {

// fp32 against the reference's fp32: both accumulate in other orders, some thousand terms deep.
constexpr double kTolerance = 1e-4;

std::unique_ptr<WanDit> load(const char* folder, DType dtype, Context& context) {
  const auto path = golden_path(folder) / "transformer";
  return std::make_unique<WanDit>(WanConfig::parse(Json::read(path / "config.json")),
                                  std::make_shared<Checkpoint>(path), DitWeights{.dtype = dtype},
                                  context);
}

// Runs both branches of one step on the golden's inputs and compares each with `name`.
double worst_velocity_error(WanDit& dit, const Golden& golden, const TensorView& latents, int step,
                            const Golden& expected, Context& context) {
  ExactAttention attention;
  double worst = 0;
  for (const int branch : {0, 1}) {
    const std::string side = branch == 0 ? "cond" : "uncond";
    Tensor velocity(DType::f32, latents.shape());
    const std::string name = "step" + std::to_string(step);
    const double timestep = element(golden.get("timesteps"), step);
    dit.forward({.latents = latents, .timestep = timestep, .step = step, .branch = branch},
                attention, velocity, context);
    worst =
        std::max(worst, relative_error(velocity, expected.get(name + "." + side + ".velocity")[0]));
  }
  return worst;
}

void set_texts(WanDit& dit, const Golden& golden, Context& context) {
  const std::array states = {golden.get("text.prompt.states"), golden.get("text.negative.states")};
  dit.set_texts(states, context);
}

TEST(Wan, EveryStageOfEveryStepAgreesWithTheReferenceInFp32) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const auto dit = load("wan_t2v_tiny", DType::f32, context);
  set_texts(*dit, golden, context);
  const std::int64_t steps = golden.get("timesteps").size(0);
  ASSERT_EQ(steps, 4);
  for (int step = 0; step < steps; ++step) {
    const std::string name = "step" + std::to_string(step);
    int compared = 0;
    dit->observe_blocks([&](int layer, const TensorView& hidden) {
      const std::string stage = name + ".cond." + (layer == 0 ? "first_block" : "last_block");
      if (!golden.has(stage) || compared == 2) return;  // the conditional branch runs first
      EXPECT_TRUE(close(hidden, golden.get(stage)[0], kTolerance)) << stage;
      ++compared;
    });
    const TensorView latents =
        golden.get(step == 0 ? "noise" : "step" + std::to_string(step - 1) + ".latents")[0];
    EXPECT_LT(worst_velocity_error(*dit, golden, latents, step, golden, context), kTolerance)
        << name;
    EXPECT_EQ(compared, step == 0 || step == steps - 1 ? 2 : 0);
  }
}

TEST(Wan, HeadsOf64AndBf16StorageAgreeWithTheReferenceInFp32) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_c.f32.safetensors");
  const auto dit = load("wan_t2v_tiny_hd64", DType::f32, context);
  set_texts(*dit, golden, context);
  EXPECT_LT(worst_velocity_error(*dit, golden, golden.get("noise")[0], 0, golden, context),
            kTolerance);
}

TEST(Wan, Bf16IsNoFurtherFromFp32ThanTheReferencesOwnBf16) {
  Context context;
  for (const std::string name : {"case_a", "case_b", "case_c"}) {
    const Golden exact = read_golden("wan_t2v_tiny." + name + ".f32.safetensors");
    const Golden rounded = read_golden("wan_t2v_tiny." + name + ".bf16.safetensors");
    const auto dit =
        load(name == "case_c" ? "wan_t2v_tiny_hd64" : "wan_t2v_tiny", DType::bf16, context);
    // The reference's bf16 run has bf16 text states too.
    set_texts(*dit, rounded, context);
    double reference = 0;
    for (const std::string side : {"cond", "uncond"})
      reference = std::max(reference, relative_error(rounded.get("step0." + side + ".velocity"),
                                                     exact.get("step0." + side + ".velocity")));
    const double ours = worst_velocity_error(*dit, exact, exact.get("noise")[0], 0, exact, context);
    EXPECT_LT(ours, 1.1 * reference) << name;
    EXPECT_GT(ours, 1e-4) << name << ": too good to have run in bf16";
  }
}

TEST(Wan, ASecondForwardAllocatesNothing) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const auto dit = load("wan_t2v_tiny", DType::f32, context);
  set_texts(*dit, golden, context);
  worst_velocity_error(*dit, golden, golden.get("noise")[0], 0, golden, context);
  const long before = context.arena.allocations();
  worst_velocity_error(*dit, golden, golden.get("noise")[0], 0, golden, context);
  EXPECT_EQ(context.arena.allocations(), before);
}

/// The tiny transformer with five blocks, which are its own two in turn.
class DeepModel {
 public:
  DeepModel() : config_(WanConfig::parse(Json::read(source_ / "config.json"))) {
    const Checkpoint two(source_);
    std::vector<std::pair<std::string, TensorView>> tensors;
    for (const auto& name : two.names()) {
      const std::string prefix = "blocks.";
      if (!name.starts_with(prefix)) {
        tensors.emplace_back(name, *two.find(name));
        continue;
      }
      const int first = name[prefix.size()] - '0';
      for (int layer = first; layer < kLayers; layer += 2)
        tensors.emplace_back(prefix + std::to_string(layer) + name.substr(prefix.size() + 1),
                             *two.find(name));
    }
    write_safetensors(folder_ / "diffusion_pytorch_model.safetensors", tensors);
    config_.num_layers = kLayers;
  }
  std::unique_ptr<WanDit> load(DType dtype, int streamed_blocks, Context& context) const {
    return std::make_unique<WanDit>(config_, std::make_shared<Checkpoint>(folder_.path()),
                                    DitWeights{.dtype = dtype, .streamed_blocks = streamed_blocks},
                                    context);
  }
  static constexpr int kLayers = 5;

 private:
  std::filesystem::path source_ = golden_path("wan_t2v_tiny") / "transformer";
  WanConfig config_;
  TemporaryFolder folder_;
};

std::vector<Tensor> velocities(WanDit& dit, const TensorView& latents, Context& context) {
  ExactAttention attention;
  std::vector<Tensor> all;
  for (int pass = 0; pass < 3; ++pass) {
    all.emplace_back(DType::f32, latents.shape());
    dit.forward({.latents = latents, .timestep = 500, .step = pass, .branch = pass % 2}, attention,
                all.back(), context);
  }
  return all;
}

TEST(Wan, StreamedBlocksComputeTheSame) {
  Context context;
  const DeepModel model;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const TensorView latents = golden.get("noise")[0];
  const auto run = [&](DType dtype, int streamed) {
    const auto dit = model.load(dtype, streamed, context);
    set_texts(*dit, golden, context);
    return velocities(*dit, latents, context);
  };
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> expected = run(dtype, 0);
    for (const int streamed : {1, 3, DeepModel::kLayers}) {
      if (dtype == DType::bf16 && streamed != 3) continue;
      const std::vector<Tensor> found = run(dtype, streamed);
      for (std::size_t i = 0; i < found.size(); ++i)
        EXPECT_TRUE(bit_equal(found[i], expected[i])) << streamed << " streamed, pass " << i;
    }
  }
}

TEST(Wan, AForwardAfterOneThatWasStoppedStreamsFromTheStart) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const TensorView latents = golden.get("noise")[0];
  const DeepModel model;
  const auto dit = model.load(DType::f32, DeepModel::kLayers, context);
  set_texts(*dit, golden, context);
  const std::vector<Tensor> expected = velocities(*dit, latents, context);
  dit->observe_blocks([](int layer, const TensorView&) {
    if (layer == 0) throw Error(ErrorKind::cancelled, "stopped");
  });
  EXPECT_THROW(velocities(*dit, latents, context), Error);
  dit->observe_blocks({});
  EXPECT_TRUE(bit_equal(velocities(*dit, latents, context)[2], expected[2]));
}

TEST(Wan, StreamedBlocksMoveTheirBytesFromTheDeviceToTheHost) {
  const auto path = golden_path("wan_t2v_tiny") / "transformer";
  WanConfig config = WanConfig::parse(Json::read(path / "config.json"));
  config.num_layers = 12;
  const auto need = [&](int streamed) {
    return WanDit::memory(config, {.dtype = DType::bf16, .streamed_blocks = streamed}, Device::cuda,
                          {16, 3, 8, 8}, std::array{4, 2});
  };
  // Two of those that stream always have a place.
  EXPECT_EQ(need(2).weights, need(0).weights);
  const std::size_t block = need(12).host / 12;
  EXPECT_EQ(need(7).host, 7 * block);
  EXPECT_EQ(need(0).weights - need(7).weights, 5 * block);
  EXPECT_EQ(need(7).workspace, need(0).workspace);
}

TEST(Wan, AStopRequestEndsTheForward) {
  Context context;
  const Golden golden = read_golden("wan_t2v_tiny.case_a.f32.safetensors");
  const auto dit = load("wan_t2v_tiny", DType::f32, context);
  set_texts(*dit, golden, context);
  const std::atomic<bool> cancel = true;
  context.cancel = &cancel;
  EXPECT_THROW(worst_velocity_error(*dit, golden, golden.get("noise")[0], 0, golden, context),
               Error);
}

// A checkpoint that holds nothing a model asks for.
Checkpoint foreign_checkpoint(const TemporaryFolder& folder) {
  folder.write("model.safetensors",
               safetensors_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  return Checkpoint(folder.path());
}

TEST(Wan, ThePublishedModelsHaveTheTensorsAndParametersThatTheReferenceHas) {
  struct Published {
    int heads, ffn_dim, layers;
    std::size_t tensors, parameters;  // of WanTransformer3DModel's state dict
  };
  const TemporaryFolder folder;
  const Checkpoint foreign = foreign_checkpoint(folder);
  for (const Published& model :
       {Published{12, 8960, 30, 825, 1418996800}, Published{40, 13824, 40, 1095, 14288491584}}) {
    const Json json =
        Json::parse(fmt::format(R"({{"num_attention_heads": {}, "ffn_dim": {}, "num_layers": {},
                         "attention_head_dim": 128, "in_channels": 16, "out_channels": 16,
                         "text_dim": 4096, "freq_dim": 256, "patch_size": [1, 2, 2],
                         "image_dim": null, "added_kv_proj_dim": null}})",
                                model.heads, model.ffn_dim, model.layers),
                    "config.json");
    const WanConfig config = WanConfig::parse(json);
    EXPECT_EQ(WanDit::check(config, foreign).missing.size(), model.tensors);
    EXPECT_EQ(WanDit::check(config, foreign).unexpected, std::vector<std::string>{"x"});
    EXPECT_EQ(
        WanDit::memory(config, {}, Device::cpu, {16, 21, 60, 104}, {}).weights / sizeof(float),
        model.parameters);
  }
}

}  // namespace
}  // namespace sparsevid
