#include "pipeline/recipes/wan.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "io/checkpoint.h"
#include "models/dit/wan.h"
#include "models/text/umt5.h"
#include "models/vae/wan_vae.h"
#include "pipeline/attention_choice.h"
#include "pipeline/component_info.h"
#include "pipeline/denoise.h"
#include "pipeline/recipes/defaults_file.h"
#include "text/clean_prompt.h"
#include "text/sentencepiece_tokenizer.h"

namespace sparsevid {
namespace {

constexpr const char* kTextEncoder = "text_encoder";
constexpr const char* kTransformer = "transformer";
constexpr const char* kVae = "vae";
constexpr int kTextTokens = 512;  // WanPipeline's max_sequence_length
constexpr int kMaxSide = 8192;
constexpr int kMaxFrames = 4097;

std::shared_ptr<const Checkpoint> weights_of(const ModelFolder& folder, const char* component) {
  return std::make_shared<const Checkpoint>(folder.component(component));
}

class WanRecipe final : public Recipe {
 public:
  explicit WanRecipe(ModelFolder folder)
      : folder_(std::move(folder)),
        text_(Umt5Config::parse(folder_.config(kTextEncoder))),
        dit_(WanConfig::parse(folder_.config(kTransformer))),
        vae_(WanVaeConfig::parse(folder_.config(kVae))),
        scheduler_(folder_.config("scheduler")),
        tokenizer_(folder_.component("tokenizer")) {
    const auto where = folder_.path().string();
    require(dit_.in_channels == vae_.z_dim && dit_.out_channels == vae_.z_dim, ErrorKind::bad_file,
            "{}: transformer in_channels {} and out_channels {}: expected {}, the vae's z_dim",
            where, dit_.in_channels, dit_.out_channels, vae_.z_dim);
    require(dit_.text_dim == text_.d_model, ErrorKind::bad_file,
            "{}: transformer text_dim: expected {}, the text encoder's d_model, found {}", where,
            text_.d_model, dit_.text_dim);
    require(tokenizer_.vocabulary_size() <= text_.vocab_size, ErrorKind::bad_file,
            "{}: tokenizer: expected at most {} ids, the text encoder's vocab_size, found {}",
            where, text_.vocab_size, tokenizer_.vocabulary_size());
    const int token_side =
        vae_.spatial_compression() * std::min(dit_.patch_size[1], dit_.patch_size[2]);
    // Along each axis there is a rotation for so many tokens.
    const auto positions = [&](int of_each) {
      return std::int64_t{dit_.rope_max_seq_len} * of_each;
    };
    const std::int64_t latent_frames = positions(dit_.patch_size[0]);
    limits_ = {
        .size_multiple =
            vae_.spatial_compression() * std::max(dit_.patch_size[1], dit_.patch_size[2]),
        .frame_multiple = vae_.temporal_compression(),
        .max_side = static_cast<int>(std::min<std::int64_t>(kMaxSide, positions(token_side))),
        .max_frames = static_cast<int>(std::min<std::int64_t>(
            kMaxFrames, (latent_frames - 1) * vae_.temporal_compression() + 1)),
        .max_text_tokens = kTextTokens};
    // WanPipeline's own; a folder's sparsevid.json goes before them.
    defaults_ = {.height = 480,
                 .width = 832,
                 .frames = 81,
                 .fps = 16,
                 .steps = 50,
                 .guidance = 5,
                 .attention = "dense",
                 .attention_settings = {}};
    if (folder_.defaults()) apply_defaults_file(*folder_.defaults(), limits_, defaults_);
  }

  std::string_view family() const override { return "Wan 2.1 text to video"; }
  const std::string& pipeline_class() const override { return folder_.pipeline_class(); }
  std::string_view attention_family() const override { return "wan-t2v"; }
  int attention_head_dim() const override { return dit_.attention_head_dim; }
  const std::filesystem::path& folder() const override { return folder_.path(); }
  bool claims(const std::filesystem::path& file) const override { return folder_.claims(file); }
  const RecipeDefaults& defaults() const override { return defaults_; }
  const RecipeLimits& limits() const override { return limits_; }
  const Scheduler& scheduler() const override { return scheduler_; }

  Shape latent_shape(int height, int width, int frames) const override {
    const int space = vae_.spatial_compression();
    return {vae_.z_dim, (frames - 1) / vae_.temporal_compression() + 1, height / space,
            width / space};
  }

  std::array<int, 3> clip_size(const Shape& latents) const override {
    const int space = vae_.spatial_compression();
    return {static_cast<int>(latents[1] - 1) * vae_.temporal_compression() + 1,
            static_cast<int>(latents[2]) * space, static_cast<int>(latents[3]) * space};
  }

  PromptTokens tokenize(const std::string& prompt) const override {
    const std::string text = clean_prompt(prompt);
    PromptTokens tokens{tokenizer_.encode(text, kTextTokens), 0};
    if (tokens.ids.size() == kTextTokens)
      tokens.cut = static_cast<int>(
          tokenizer_.encode(text, std::numeric_limits<int>::max()).size() - kTextTokens);
    return tokens;
  }

  std::unique_ptr<TextEncoder> load_text_encoder(const Settings& settings,
                                                 Context& context) const override {
    return std::make_unique<Umt5Encoder>(text_, weights_of(folder_, kTextEncoder), settings.dtype,
                                         settings.offload != Offload::none, context);
  }
  std::unique_ptr<Dit> load_dit(const Settings& settings, Context& context) const override {
    return std::make_unique<WanDit>(dit_, weights_of(folder_, kTransformer), kept(settings),
                                    context);
  }
  std::unique_ptr<Vae> load_vae(const Settings& settings, Context& context) const override {
    return std::make_unique<WanVae>(vae_, weights_of(folder_, kVae), settings.vae_dtype,
                                    settings.vae_products, context);
  }

  int blocks() const override { return dit_.num_layers; }

  MemoryPlan memory_plan(const Settings& settings) const override {
    const Shape latents = latent_shape(settings.height, settings.width, settings.frames);
    const std::size_t latent_bytes = static_cast<std::size_t>(latents.numel()) * sizeof(float);
    const auto named = [](const char* what, DType dtype) {
      return fmt::format("{} ({})", what, to_string(dtype));
    };
    MemoryPlan plan;
    if (!settings.decode_only) {
      const MemoryNeed text =
          Umt5Encoder::memory(text_, settings.dtype, settings.offload != Offload::none,
                              settings.device, settings.text_tokens);
      plan.phases.push_back({"text",
                             {{named("text encoder weights", settings.dtype), text.weights},
                              {"activations", text.workspace, true},
                              {"text states", text.kept}}});
      const MemoryNeed dit =
          WanDit::memory(dit_, kept(settings), settings.device, latents, settings.text_tokens);
      plan.host_bytes = dit.host;
      const AttentionBytes attention =
          attention_bytes(settings.attention, {.heads = dit_.num_attention_heads,
                                               .head_dim = dit_.attention_head_dim,
                                               .layers = dit_.num_layers,
                                               .branches = settings.guided() ? 2 : 1,
                                               .tokens = video_tokens(latents),
                                               .device = settings.device});
      plan.phases.push_back(
          {"sampling",
           {{settings.fp8_linears ? "transformer weights (fp8)"
                                  : named("transformer weights", settings.dtype),
             dit.weights},
            {"activations", dit.workspace, true},
            {"text keys and values, rotation", dit.kept},
            {settings.attention.method + " attention", attention.kept},
            {settings.attention.method + " attention, scratch", attention.scratch, true},
            {"text states", text.kept},
            {"latents", denoise_bytes(latents, settings.dtype)}}});
    }
    const MemoryNeed vae =
        WanVae::memory(vae_, settings.vae_dtype, settings.vae_products, settings.device, latents);
    plan.phases.push_back(
        {"decoding",
         {{fmt::format("vae weights ({})", vae_arithmetic(settings)), vae.weights},
          {"packed weights and remembered frames", vae.kept},
          {"activations", vae.workspace, true},
          {"latents", latent_bytes}}});
    return plan;
  }

  std::vector<ComponentInfo> components() const override {
    return {
        describe_component(folder_, kTextEncoder,
                           [&](ComponentInfo& info, const Checkpoint& checkpoint) {
                             info.facts = {fmt::format("{} layers, {} heads of {}, width {}",
                                                       text_.num_layers, text_.num_heads,
                                                       text_.d_kv, text_.d_model)};
                             return Umt5Encoder::check(text_, checkpoint);
                           }),
        describe_component(folder_, kTransformer,
                           [&](ComponentInfo& info, const Checkpoint& checkpoint) {
                             info.facts = {fmt::format(
                                 "{} layers, {} heads of {}, patch {} x {} x {}", dit_.num_layers,
                                 dit_.num_attention_heads, dit_.attention_head_dim,
                                 dit_.patch_size[0], dit_.patch_size[1], dit_.patch_size[2])};
                             return WanDit::check(dit_, checkpoint);
                           }),
        describe_component(folder_, kVae, [&](ComponentInfo& info, const Checkpoint& checkpoint) {
          info.facts = {fmt::format("{} channels, compression {} x {} x {}", vae_.z_dim,
                                    vae_.temporal_compression(), vae_.spatial_compression(),
                                    vae_.spatial_compression())};
          return WanVae::check(vae_, checkpoint);
        })};
  }

 private:
  static DitWeights kept(const Settings& settings) {
    return {.dtype = settings.dtype,
            .fp8 = settings.fp8_linears,
            .streamed_blocks = settings.streamed_blocks};
  }
  std::int64_t video_tokens(const Shape& latents) const {
    return latents[1] / dit_.patch_size[0] * (latents[2] / dit_.patch_size[1]) *
           (latents[3] / dit_.patch_size[2]);
  }

  ModelFolder folder_;
  Umt5Config text_;
  WanConfig dit_;
  WanVaeConfig vae_;
  Scheduler scheduler_;
  SentencePieceTokenizer tokenizer_;
  RecipeLimits limits_;
  RecipeDefaults defaults_;
};

}  // namespace

std::unique_ptr<Recipe> open_wan(ModelFolder folder) {
  const bool per_token = folder.index().get_bool("expand_timesteps", false);
  require(!folder.has("transformer_2") && !per_token, ErrorKind::bad_file,
          "{}: expected a checkpoint of Wan 2.1, found {} (Wan 2.2 is not supported yet)",
          folder.index().where(), per_token ? "expand_timesteps" : "transformer_2");
  return std::make_unique<WanRecipe>(std::move(folder));
}

}  // namespace sparsevid
