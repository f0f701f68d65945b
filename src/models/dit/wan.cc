#include "models/dit/wan.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "core/transfer.h"
#include "models/op_scratch.h"
#include "nn/rope.h"
#include "nn/timestep_embedding.h"
#include "ops/activate.h"
#include "ops/attention.h"
#include "ops/copy.h"
#include "ops/gated_residual.h"
#include "ops/layer_norm.h"
#include "ops/layer_norm_modulate.h"
#include "ops/linear_combination.h"
#include "ops/patchify.h"
#include "ops/rms_norm.h"
#include "ops/rms_norm_rope.h"
#include "ops/unpatchify.h"

namespace sparsevid {
namespace {

// Prompts are padded to this many rows of zeros, which take part in cross attention
// (WanPipeline's max_sequence_length).
constexpr std::int64_t kTextRows = 512;
// The MLP runs over this many tokens at a time, so that its wide activations stay small: enough to
// fill the device.
constexpr std::int64_t mlp_rows(Device device) { return device == Device::cuda ? 16384 : 2048; }
constexpr double kRopeTheta = 10000;

// Rows of the modulation table, in the order of the checkpoint.
enum Modulation {
  kShiftAttention,
  kScaleAttention,
  kGateAttention,
  kShiftMlp,
  kScaleMlp,
  kGateMlp
};
constexpr int kModulations = 6;

/// Rows of keys for a prompt: all its padding rows are equal, so they are one key that counts as
/// often as there are such rows, which is exact.
constexpr std::int64_t text_rows(std::int64_t tokens) {
  return tokens < kTextRows ? tokens + 1 : tokens;
}

// [tokens, heads * head_dim] as [heads, tokens, head_dim].
TensorView by_head(const TensorView& x, int heads, int head_dim) {
  return x.reshape({x.size(0), heads, head_dim}).transpose(0, 1);
}

}  // namespace

struct WanDit::Activations {
  TensorView x;        // [tokens, dim] the residual stream
  TensorView y;        // [tokens, dim] normed input, then the output of attention
  TensorView q, k, v;  // [tokens, dim]
  TensorView mlp;      // [mlp_rows, ffn_dim]
};

void WanDit::Attention::declare_queries(nn::WeightTable& table, const std::string& name, int dim) {
  to_q.declare(table, name + ".to_q", dim, dim, true, nn::Precision::large);
  to_out.declare(table, name + ".to_out.0", dim, dim, true, nn::Precision::large);
  table.add(name + ".norm_q.weight", {dim}, norm_q, nn::Precision::f32);
}

void WanDit::Attention::declare_keys(nn::WeightTable& table, const std::string& name, int dim,
                                     nn::Precision of_tokens) {
  to_k.declare(table, name + ".to_k", dim, dim, true, of_tokens);
  to_v.declare(table, name + ".to_v", dim, dim, true, of_tokens);
  table.add(name + ".norm_k.weight", {dim}, norm_k, nn::Precision::f32);
}

bool WanDit::streamed(int block) const {
  // Spread evenly, so that a block has those between it and the one before to arrive in.
  const auto before = [&](int i) {
    return std::int64_t{i} * kept_.streamed_blocks / config_.num_layers;
  };
  return before(block + 1) > before(block);
}

void WanDit::declare(nn::WeightTable& table) {
  const int dim = config_.dim();
  const auto& patch = config_.patch_size;
  table.add("patch_embedding.weight", {dim, config_.in_channels, patch[0], patch[1], patch[2]},
            patch_embedding_weight_);
  table.add("patch_embedding.bias", {dim}, patch_embedding_.bias, nn::Precision::f32);
  const std::string embedder = "condition_embedder.";
  time_in_.declare(table, embedder + "time_embedder.linear_1", config_.freq_dim, dim, true,
                   nn::Precision::f32);
  time_out_.declare(table, embedder + "time_embedder.linear_2", dim, dim, true, nn::Precision::f32);
  time_proj_.declare(table, embedder + "time_proj", dim, kModulations * dim);
  text_in_.declare(table, embedder + "text_embedder.linear_1", config_.text_dim, dim);
  text_out_.declare(table, embedder + "text_embedder.linear_2", dim, dim);
  blocks_.resize(static_cast<std::size_t>(config_.num_layers));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::string name = "blocks." + std::to_string(i) + ".";
    Block& block = blocks_[i];
    // Keys and values of the text are few and computed once: what makes them is not kept on a GPU.
    block.text_weights = table.begin_group(device_ == Device::cuda ? nn::Residence::passing
                                                                   : nn::Residence::resident);
    block.cross.declare_keys(table, name + "attn2", dim, nn::Precision::compute);
    block.weights = table.begin_group(streamed(static_cast<int>(i)) ? nn::Residence::streamed
                                                                    : nn::Residence::resident);
    table.add(name + "scale_shift_table", {1, kModulations, dim}, block.scale_shift_table,
              nn::Precision::f32);
    block.self.declare_queries(table, name + "attn1", dim);
    block.self.declare_keys(table, name + "attn1", dim, nn::Precision::large);
    block.cross.declare_queries(table, name + "attn2", dim);
    if (config_.cross_attn_norm) {
      table.add(name + "norm2.weight", {dim}, block.norm2_weight, nn::Precision::f32);
      table.add(name + "norm2.bias", {dim}, block.norm2_bias, nn::Precision::f32);
    }
    block.ffn_in.declare(table, name + "ffn.net.0.proj", dim, config_.ffn_dim, true,
                         nn::Precision::large);
    block.ffn_out.declare(table, name + "ffn.net.2", config_.ffn_dim, dim, true,
                          nn::Precision::large);
    table.end_group();
  }
  table.add("scale_shift_table", {1, 2, dim}, scale_shift_table_, nn::Precision::f32);
  proj_out_.declare(table, "proj_out", dim, config_.out_channels * config_.patch_volume());
}

WanDit::WanDit(const WanConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
               const DitWeights& kept, Context& context)
    : config_(config), kept_(kept), device_(context.device), checkpoint_(std::move(checkpoint)) {
  nn::WeightTable table(kept_.dtype, kept_.fp8);
  declare(table);
  weights_ = table.load(*checkpoint_, context);
  patch_embedding_.weight = patch_embedding_weight_.reshape(
      {config_.dim(), std::int64_t{config_.in_channels} * config_.patch_volume()});
}

nn::WeightMismatch WanDit::check(const WanConfig& config, const Checkpoint& checkpoint) {
  WanDit unloaded(config, {}, Device::cpu);
  nn::WeightTable table(DType::f32);
  unloaded.declare(table);
  return table.compare(checkpoint);
}

MemoryNeed WanDit::memory(const WanConfig& config, const DitWeights& kept, Device device,
                          const Shape& latents, std::span<const int> text_tokens) {
  WanDit unloaded(config, kept, device);
  nn::WeightTable table(kept.dtype, kept.fp8);
  unloaded.declare(table);
  const nn::WeightBytes weights = table.bytes_on(device);
  return {weights.resident, unloaded.workspace_bytes(latents, weights.passing, text_tokens),
          unloaded.kept_bytes(latents, text_tokens), weights.host};
}

TokenLayout WanDit::layout(const Shape& latents) const {
  const auto& patch = config_.patch_size;
  TokenLayout layout;
  int tokens = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    layout.grid[axis] = static_cast<int>(latents[static_cast<int>(axis) + 1]) / patch[axis];
    tokens *= layout.grid[axis];
  }
  layout.segments = {{Role::video, 0, tokens}};
  return layout;
}

std::size_t WanDit::workspace_bytes(const Shape& latents, std::size_t passing_weights,
                                    std::span<const int> text_tokens) const {
  const auto tokens = static_cast<std::size_t>(layout(latents).segments[0].length);
  const auto dim = static_cast<std::size_t>(config_.dim());
  const auto ffn_dim = static_cast<std::size_t>(config_.ffn_dim);
  const std::size_t mlp = std::min(tokens, static_cast<std::size_t>(mlp_rows(device_)));
  const auto patch = static_cast<std::size_t>(config_.in_channels) * config_.patch_volume();
  const std::size_t held =
      (5 * tokens * dim + mlp * ffn_dim + tokens * patch) * size_of(kept_.dtype);
  if (device_ == Device::cpu) return held;
  // What the ops of a layer take beside, one after the other.
  std::size_t beside = kLinearScratchBytes;
  if (kept_.fp8) beside = std::max({beside, tokens * (dim + sizeof(float)), mlp * ffn_dim});
  if (kept_.dtype == DType::f32)
    beside = std::max(beside, product_attention_scratch(config_.num_attention_heads,
                                                        static_cast<std::int64_t>(tokens),
                                                        config_.attention_head_dim, kept_.dtype));
  std::size_t text = passing_weights + kLinearScratchBytes;
  for (const int count : text_tokens)
    text += static_cast<std::size_t>(text_rows(count)) *
            (static_cast<std::size_t>(config_.text_dim) + 2 * dim) * size_of(kept_.dtype);
  return std::max(held + beside, text) + kSmallScratchBytes;
}

std::size_t WanDit::kept_bytes(const Shape& latents, std::span<const int> text_tokens) const {
  const auto tokens = static_cast<std::size_t>(layout(latents).segments[0].length);
  const auto head_dim = static_cast<std::size_t>(config_.attention_head_dim);
  std::size_t rows = 0;
  for (const int count : text_tokens) rows += static_cast<std::size_t>(text_rows(count));
  return tokens * head_dim * sizeof(float) +
         2 * blocks_.size() * rows * static_cast<std::size_t>(config_.dim()) * size_of(kept_.dtype);
}

void WanDit::set_texts(std::span<const TensorView> states, Context& context) {
  const Zone zone(context.profile, "dit.text");
  const std::int64_t dim = config_.dim();
  const Arena::Scope scope(context.arena);
  text_.clear();
  text_.resize(states.size());
  std::vector<TensorView> embedded;
  for (std::size_t branch = 0; branch < states.size(); ++branch) {
    const TensorView& given = states[branch];
    require(given.rank() == 2 && given.size(1) == config_.text_dim && given.size(0) >= 1 &&
                given.size(0) <= kTextRows,
            ErrorKind::bad_input, "text states: expected [1 to {}, {}], found {}", kTextRows,
            config_.text_dim, given.shape().str());
    const std::int64_t tokens = given.size(0);
    const std::int64_t rows = text_rows(tokens);
    Tensor key_bias(DType::f32, {rows});
    float* bias = key_bias->as<float>();
    std::fill(bias, bias + rows, 0.0F);
    if (rows > tokens) bias[tokens] = static_cast<float>(std::log(double(kTextRows - tokens)));
    text_[branch].key_bias = copy_to(context.device, key_bias, context);

    embedded.push_back(context.arena.tensor(kept_.dtype, {rows, dim}));
    const Arena::Scope inputs(context.arena);
    const TensorView padded = context.arena.tensor(kept_.dtype, {rows, config_.text_dim});
    ops::copy({.x = given, .out = padded.slice(0, 0, tokens)}, context);
    if (rows > tokens) clear(padded.slice(0, tokens, 1), context);
    const TensorView hidden = context.arena.tensor(kept_.dtype, {rows, dim});
    text_in_.apply(padded, hidden, context, ops::Activation::gelu_tanh);
    text_out_.apply(hidden, embedded.back(), context);
  }
  for (const Block& block : blocks_) {
    const auto used = weights_.use(block.text_weights, context);
    for (std::size_t branch = 0; branch < states.size(); ++branch) {
      const TensorView& rows = embedded[branch];
      Tensor key(kept_.dtype, rows.shape(), context.device);
      Tensor value(kept_.dtype, rows.shape(), context.device);
      block.cross.to_k.apply(rows, key, context);
      block.cross.to_v.apply(rows, value, context);
      ops::rms_norm({.x = key, .weight = block.cross.norm_k, .epsilon = config_.eps, .out = key},
                    context);
      text_[branch].keys.push_back(std::move(key));
      text_[branch].values.push_back(std::move(value));
    }
  }
}

void WanDit::embed_time(double timestep, const TensorView& embedding, const TensorView& modulation,
                        Context& context) const {
  const std::int64_t dim = config_.dim();
  Tensor frequencies(DType::f32, {1, config_.freq_dim});
  nn::timestep_embedding(timestep, frequencies.view()[0]);
  const TensorView sinusoid = context.arena.tensor(DType::f32, frequencies->shape());
  transfer(frequencies, sinusoid, context);
  const TensorView hidden = context.arena.tensor(DType::f32, {1, dim});
  time_in_.apply(sinusoid, hidden, context, ops::Activation::silu);
  const TensorView rounded = context.arena.tensor(kept_.dtype, {1, dim});
  time_out_.apply(hidden, embedding, context);
  ops::copy({.x = embedding, .out = rounded}, context);
  ops::copy({.x = rounded, .out = embedding}, context);
  ops::activate({.x = rounded, .activation = ops::Activation::silu, .out = rounded}, context);
  const TensorView projected = context.arena.tensor(kept_.dtype, {1, kModulations * dim});
  time_proj_.apply(rounded, projected, context);
  ops::copy({.x = projected, .out = modulation}, context);
}

void WanDit::prepare_rope(const Shape& latents, const Context& context) {
  if (latents == rope_latents_) return;
  const TokenLayout where = layout(latents);
  for (const int extent : where.grid) {
    require(extent <= config_.rope_max_seq_len, ErrorKind::bad_input,
            "video size: expected at most {} tokens along each axis (rope_max_seq_len), found {}",
            config_.rope_max_seq_len, extent);
  }
  const Shape shape = {where.segments[0].length, config_.attention_head_dim / 2};
  Tensor cos(DType::f32, shape);
  Tensor sin(DType::f32, shape);
  nn::rope_tables(where.grid, nn::rope_axis_dims(config_.attention_head_dim), kRopeTheta, cos, sin);
  rope_cos_ = copy_to(context.device, cos, context);
  rope_sin_ = copy_to(context.device, sin, context);
  rope_latents_ = latents;
}

void WanDit::self_attention(const Block& block, const TensorView& modulation,
                            const AttentionCall& where, AttentionMethod& attention,
                            const Activations& act, Context& context) const {
  const std::int64_t tokens = act.x.size(0);
  const int heads = config_.num_attention_heads;
  const int head_dim = config_.attention_head_dim;
  {
    const Zone zone(context.profile, "dit.norm");
    ops::layer_norm_modulate({.x = act.x,
                              .scale = modulation[kScaleAttention],
                              .shift = modulation[kShiftAttention],
                              .epsilon = config_.eps,
                              .out = act.y},
                             context);
  }
  {
    const Arena::Scope scope(context.arena);
    const nn::LinearInput y = block.self.to_q.prepare(act.y, context);
    block.self.to_q.apply(y, act.q, context);
    block.self.to_k.apply(y, act.k, context);
    block.self.to_v.apply(y, act.v, context);
  }
  const Shape split = {tokens, heads, head_dim};
  {
    const Zone zone(context.profile, "dit.norm");
    for (const auto& [x, weight] :
         {std::pair{act.q, block.self.norm_q}, std::pair{act.k, block.self.norm_k}}) {
      ops::rms_norm_rope({.x = x.reshape(split),
                          .weight = weight,
                          .epsilon = config_.eps,
                          .cos = rope_cos_,
                          .sin = rope_sin_,
                          .out = x.reshape(split)},
                         context);
    }
  }
  {
    const auto batch_of_one = [&](const TensorView& x) {
      return x.reshape({1, tokens, heads, head_dim}).transpose(1, 2);
    };
    AttentionCall call = where;
    call.q = batch_of_one(act.q);
    call.k = batch_of_one(act.k);
    call.v = batch_of_one(act.v);
    attention.run(call, batch_of_one(act.y), context);
  }
  block.self.to_out.apply(act.y, act.q, context);
  const Zone zone(context.profile, "dit.norm");
  ops::gated_residual({.x = act.x, .y = act.q, .gate = modulation[kGateAttention]}, context);
}

void WanDit::cross_attention(const Block& block, const Text& text, int layer,
                             const Activations& act, Context& context) const {
  const int heads = config_.num_attention_heads;
  const int head_dim = config_.attention_head_dim;
  {
    const Zone zone(context.profile, "dit.norm");
    if (config_.cross_attn_norm) {
      ops::layer_norm({.x = act.x,
                       .weight = block.norm2_weight,
                       .bias = block.norm2_bias,
                       .epsilon = config_.eps,
                       .out = act.y},
                      context);
    } else {
      ops::copy({.x = act.x, .out = act.y}, context);
    }
  }
  block.cross.to_q.apply(act.y, act.q, context);
  {
    const Zone zone(context.profile, "dit.norm");
    ops::rms_norm({.x = act.q, .weight = block.cross.norm_q, .epsilon = config_.eps, .out = act.q},
                  context);
  }
  {
    const Zone zone(context.profile, "dit.cross_attention");
    ops::attention({.q = by_head(act.q, heads, head_dim),
                    .k = by_head(text.keys[static_cast<std::size_t>(layer)], heads, head_dim),
                    .v = by_head(text.values[static_cast<std::size_t>(layer)], heads, head_dim),
                    .out = by_head(act.y, heads, head_dim),
                    .scale = 1 / std::sqrt(double(head_dim)),
                    .key_bias = text.key_bias},
                   context);
  }
  block.cross.to_out.apply(act.y, act.q, context);
  const Zone zone(context.profile, "dit.norm");
  ops::gated_residual({.x = act.x, .y = act.q}, context);
}

void WanDit::feed_forward(const Block& block, const TensorView& modulation, const Activations& act,
                          Context& context) const {
  {
    const Zone zone(context.profile, "dit.norm");
    ops::layer_norm_modulate({.x = act.x,
                              .scale = modulation[kScaleMlp],
                              .shift = modulation[kShiftMlp],
                              .epsilon = config_.eps,
                              .out = act.y},
                             context);
  }
  for (std::int64_t begin = 0; begin < act.x.size(0); begin += act.mlp.size(0)) {
    const std::int64_t count = std::min(act.mlp.size(0), act.x.size(0) - begin);
    const TensorView rows = act.y.slice(0, begin, count);
    const TensorView wide = act.mlp.slice(0, 0, count);
    block.ffn_in.apply(rows, wide, context, ops::Activation::gelu_tanh);
    block.ffn_out.apply(wide, rows, context);
  }
  const Zone zone(context.profile, "dit.norm");
  ops::gated_residual({.x = act.x, .y = act.y, .gate = modulation[kGateMlp]}, context);
}

void WanDit::forward(const DitInput& input, AttentionMethod& attention, const TensorView& velocity,
                     Context& context) {
  const Shape& latents = input.latents.shape();
  prepare_rope(latents, context);
  const TokenLayout where = layout(latents);
  const std::int64_t tokens = where.segments[0].length;
  const std::int64_t dim = config_.dim();
  const Text& text = text_.at(static_cast<std::size_t>(input.branch));

  const Arena::Scope scope(context.arena);
  Activations act;
  act.x = context.arena.tensor(kept_.dtype, {tokens, dim});
  act.y = context.arena.tensor(kept_.dtype, {tokens, dim});
  act.q = context.arena.tensor(kept_.dtype, {tokens, dim});
  act.k = context.arena.tensor(kept_.dtype, {tokens, dim});
  act.v = context.arena.tensor(kept_.dtype, {tokens, dim});
  act.mlp =
      context.arena.tensor(kept_.dtype, {std::min(tokens, mlp_rows(device_)), config_.ffn_dim});

  const TensorView embedding = context.arena.tensor(DType::f32, {1, dim});
  const TensorView modulation = context.arena.tensor(DType::f32, {1, kModulations * dim});
  embed_time(input.timestep, embedding, modulation, context);
  const std::int64_t patch_values = std::int64_t{config_.in_channels} * config_.patch_volume();
  const TensorView patches = context.arena.tensor(kept_.dtype, {tokens, patch_values});
  ops::patchify({.video = input.latents, .patch = config_.patch_size, .out = patches}, context);
  patch_embedding_.apply(patches, act.x, context);

  const TensorView table = context.arena.tensor(DType::f32, {kModulations, dim});
  for (int layer = 0; layer < config_.num_layers; ++layer) {
    context.check_cancelled();
    const Zone zone(context.profile, "dit.block", layer);
    const Block& block = blocks_[static_cast<std::size_t>(layer)];
    const auto used = weights_.use(block.weights, context);
    ops::linear_combination({.terms = {{block.scale_shift_table.reshape(table.shape()), 1},
                                       {modulation.reshape(table.shape()), 1}},
                             .out = table},
                            context);
    const AttentionCall call = {.q = {},
                                .k = {},
                                .v = {},
                                .layout = where,
                                .scale = 1 / std::sqrt(double(config_.attention_head_dim)),
                                .layer = layer,
                                .step = input.step,
                                .branch = input.branch};
    self_attention(block, table, call, attention, act, context);
    cross_attention(block, text, layer, act, context);
    feed_forward(block, table, act, context);
    if (observe_block_) observe_block_(layer, act.x);
  }

  const TensorView last = scale_shift_table_.reshape({2, dim});
  for (std::int64_t i = 0; i < 2; ++i) {
    ops::linear_combination({.terms = {{last[i], 1}, {embedding[0], 1}}, .out = table[i]}, context);
  }
  ops::layer_norm_modulate(
      {.x = act.x, .scale = table[1], .shift = table[0], .epsilon = config_.eps, .out = act.y},
      context);
  proj_out_.apply(act.y, patches, context);
  ops::unpatchify({.rows = patches, .patch = config_.patch_size, .video = velocity}, context);
}

}  // namespace sparsevid
