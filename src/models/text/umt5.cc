#include "models/text/umt5.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "core/transfer.h"
#include "models/op_scratch.h"
#include "ops/activate.h"
#include "ops/attention.h"
#include "ops/copy.h"
#include "ops/embedding.h"
#include "ops/gated_residual.h"
#include "ops/relative_position_bias.h"
#include "ops/rms_norm.h"

namespace sparsevid {

Umt5Config Umt5Config::parse(const Json& json) {
  constexpr int kLargest = 1 << 20;
  Umt5Config config{};
  config.d_model = json.get_int("d_model", 1, kLargest);
  config.d_kv = json.get_int("d_kv", 1, 1024);
  config.d_ff = json.get_int("d_ff", 1, kLargest);
  config.num_heads = json.get_int("num_heads", 1, 1024);
  config.num_layers = json.get_int("num_layers", 1, 1024);
  config.vocab_size = json.get_int("vocab_size", 1, 1 << 24);
  config.relative_attention_num_buckets =
      json.get_int("relative_attention_num_buckets", 32, 4, 4096);
  config.relative_attention_max_distance =
      json.get_int("relative_attention_max_distance", 128, 2, kLargest);
  config.layer_norm_epsilon = json.get_double("layer_norm_epsilon", 1e-6, 0, 1);
  const std::string mlp = json.get_string("feed_forward_proj", "gated-gelu");
  require(mlp == "gated-gelu", ErrorKind::bad_file,
          "{}: feed_forward_proj: expected gated-gelu, found {}", json.where(), mlp);
  return config;
}

int relative_position_bucket(int distance, int buckets, int max_distance) {
  const int half = buckets / 2;
  const int exact = half / 2;
  const int offset = distance > 0 ? half : 0;
  const int magnitude = std::abs(distance);
  if (magnitude < exact) return offset + magnitude;
  const float ratio = std::log(static_cast<float>(magnitude) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(double(max_distance) / exact));
  const int large = exact + static_cast<int>(ratio * static_cast<float>(half - exact));
  return offset + std::min(large, half - 1);
}

void Umt5Encoder::declare(nn::WeightTable& table) {
  const int inner = config_.num_heads * config_.d_kv;
  const int dim = config_.d_model;
  table.add("shared.weight", {config_.vocab_size, dim}, embedding_, nn::Precision::stored);
  table.add_alias("shared.weight", "encoder.embed_tokens.weight");
  blocks_.resize(static_cast<std::size_t>(config_.num_layers));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    Block& block = blocks_[i];
    const std::string attention = "encoder.block." + std::to_string(i) + ".layer.0.";
    const std::string mlp = "encoder.block." + std::to_string(i) + ".layer.1.";
    block.weights = table.begin_group(passing_ ? nn::Residence::passing : nn::Residence::resident);
    table.add(attention + "layer_norm.weight", {dim}, block.attention_norm, nn::Precision::f32);
    block.q.declare(table, attention + "SelfAttention.q", dim, inner, false);
    block.k.declare(table, attention + "SelfAttention.k", dim, inner, false);
    block.v.declare(table, attention + "SelfAttention.v", dim, inner, false);
    block.o.declare(table, attention + "SelfAttention.o", inner, dim, false);
    table.add(attention + "SelfAttention.relative_attention_bias.weight",
              {config_.relative_attention_num_buckets, config_.num_heads}, block.position_bias,
              nn::Precision::f32);
    table.add(mlp + "layer_norm.weight", {dim}, block.mlp_norm, nn::Precision::f32);
    block.wi_0.declare(table, mlp + "DenseReluDense.wi_0", dim, config_.d_ff, false);
    block.wi_1.declare(table, mlp + "DenseReluDense.wi_1", dim, config_.d_ff, false);
    block.wo.declare(table, mlp + "DenseReluDense.wo", config_.d_ff, dim, false);
    table.end_group();
  }
  table.add("encoder.final_layer_norm.weight", {dim}, final_norm_, nn::Precision::f32);
}

Umt5Encoder::Umt5Encoder(const Umt5Config& config, std::shared_ptr<const Checkpoint> checkpoint,
                         DType dtype, bool passing, Context& context)
    : config_(config), dtype_(dtype), passing_(passing), checkpoint_(std::move(checkpoint)) {
  nn::WeightTable table(dtype);
  declare(table);
  weights_ = table.load(*checkpoint_, context);
}

nn::WeightMismatch Umt5Encoder::check(const Umt5Config& config, const Checkpoint& checkpoint) {
  Umt5Encoder unloaded(config, DType::f32, false);
  nn::WeightTable table(DType::f32);
  unloaded.declare(table);
  return table.compare(checkpoint);
}

MemoryNeed Umt5Encoder::memory(const Umt5Config& config, DType dtype, bool passing, Device device,
                               std::span<const int> tokens) {
  Umt5Encoder unloaded(config, dtype, passing);
  nn::WeightTable table(dtype);
  unloaded.declare(table);
  const nn::WeightBytes weights = table.bytes_on(device);
  std::size_t states = 0;
  for (const int count : tokens)
    states +=
        static_cast<std::size_t>(count) * static_cast<std::size_t>(config.d_model) * sizeof(float);
  std::size_t beside = 0;
  if (device == Device::cuda) {
    const int longest = tokens.empty() ? 0 : *std::ranges::max_element(tokens);
    // Sums in f32 that wait for their activation, or attention.
    beside = kLinearScratchBytes + static_cast<std::size_t>(longest) *
                                       static_cast<std::size_t>(config.d_ff) * sizeof(float);
    if (dtype == DType::f32 && longest > 0)
      beside = std::max(beside,
                        product_attention_scratch(config.num_heads, longest, config.d_kv, dtype));
    beside += kSmallScratchBytes;
  }
  return {weights.resident, unloaded.workspace_bytes(tokens) + weights.passing + beside, states};
}

std::size_t Umt5Encoder::workspace_bytes(std::span<const int> tokens) const {
  const auto inner = static_cast<std::size_t>(config_.num_heads) * config_.d_kv;
  const auto dim = static_cast<std::size_t>(config_.d_model);
  std::size_t all = 0;
  std::size_t most = 0;
  for (const int count : tokens) {
    all += static_cast<std::size_t>(count);
    most = std::max(most, static_cast<std::size_t>(count));
  }
  const std::size_t rows =
      all * dim + most * (dim + 4 * inner + 2 * static_cast<std::size_t>(config_.d_ff));
  return rows * size_of(dtype_) +
         most * most * static_cast<std::size_t>(config_.num_heads) * sizeof(float);
}

/// What blocks write over again and again: of one prompt at a time, in rows for the longest.
struct Umt5Encoder::Activations {
  TensorView y, q, k, v, attended, gate, up;
  TensorView bias;     // f32, for [heads, tokens, tokens]
  TensorView buckets;  // [2 longest - 1] i32, of the distances from 1 - longest
};

void Umt5Encoder::embed(std::span<const int> ids, const TensorView& out, Context& context) const {
  for (const int id : ids)
    require(id >= 0 && id < config_.vocab_size, ErrorKind::bad_input,
            "text encoder: expected tokens below {}, its vocab_size, found {}: does the tokenizer "
            "belong to it?",
            config_.vocab_size, id);
  // The table is large and few of its rows are read: the host reads them from the file.
  Context host;
  host.threads = context.threads;
  const Tensor rows(dtype_, out.shape());
  const TensorView id_view(const_cast<int*>(ids.data()), DType::i32, {out.size(0)});
  ops::embedding({.ids = id_view, .table = embedding_, .out = rows}, host);
  transfer(rows, out, context);
}

void Umt5Encoder::run_block(const Block& block, const TensorView& x, const Activations& all,
                            Context& context) const {
  const std::int64_t tokens = x.size(0);
  const std::int64_t heads = config_.num_heads;
  const auto rows = [&](const TensorView& buffer) { return buffer.slice(0, 0, tokens); };
  const auto by_head = [&](const TensorView& view) {
    return view.reshape({tokens, heads, config_.d_kv}).transpose(0, 1);
  };
  const TensorView y = rows(all.y);
  const TensorView q = rows(all.q);
  const TensorView k = rows(all.k);
  const TensorView v = rows(all.v);
  const TensorView attended = rows(all.attended);
  const TensorView gate = rows(all.gate);
  const TensorView up = rows(all.up);
  const TensorView bias =
      all.bias.slice(0, 0, heads * tokens * tokens).reshape({heads, tokens, tokens});
  const std::int64_t longest = (all.buckets.size(0) + 1) / 2;
  const TensorView buckets = all.buckets.slice(0, longest - tokens, 2 * tokens - 1);

  ops::relative_position_bias({.table = block.position_bias, .buckets = buckets, .bias = bias},
                              context);
  ops::rms_norm(
      {.x = x, .weight = block.attention_norm, .epsilon = config_.layer_norm_epsilon, .out = y},
      context);
  block.q.apply(y, q, context);
  block.k.apply(y, k, context);
  block.v.apply(y, v, context);
  ops::attention({.q = by_head(q),
                  .k = by_head(k),
                  .v = by_head(v),
                  .out = by_head(attended),
                  .scale = 1,
                  .bias = bias},
                 context);
  block.o.apply(attended, y, context);
  ops::gated_residual({.x = x, .y = y}, context);

  ops::rms_norm({.x = x, .weight = block.mlp_norm, .epsilon = config_.layer_norm_epsilon, .out = y},
                context);
  block.wi_0.apply(y, gate, context, ops::Activation::gelu_tanh);
  block.wi_1.apply(y, up, context);
  ops::activate({.x = gate, .factor = up, .out = gate}, context);
  block.wo.apply(gate, y, context);
  ops::gated_residual({.x = x, .y = y}, context);
}

std::vector<Tensor> Umt5Encoder::encode(std::span<const std::vector<int>> ids, Context& context) {
  const Zone zone(context.profile, "text_encoder");
  const std::int64_t dim = config_.d_model;
  const std::int64_t inner = std::int64_t{config_.num_heads} * config_.d_kv;
  std::int64_t longest = 1;
  for (const auto& prompt : ids)
    longest = std::max(longest, static_cast<std::int64_t>(prompt.size()));

  const Arena::Scope scope(context.arena);
  const auto take = [&](std::int64_t rows, std::int64_t width) {
    return context.arena.tensor(dtype_, {rows, width});
  };
  std::vector<TensorView> hidden;
  for (const auto& prompt : ids) {
    hidden.push_back(take(static_cast<std::int64_t>(prompt.size()), dim));
    embed(prompt, hidden.back(), context);
  }
  Activations all;
  all.y = take(longest, dim);
  for (TensorView* buffer : {&all.q, &all.k, &all.v, &all.attended}) *buffer = take(longest, inner);
  for (TensorView* buffer : {&all.gate, &all.up}) *buffer = take(longest, config_.d_ff);
  all.bias = context.arena.tensor(DType::f32, {config_.num_heads * longest * longest});
  std::vector<int> bucket_of_distance;
  for (std::int64_t distance = 1 - longest; distance < longest; ++distance)
    bucket_of_distance.push_back(relative_position_bucket(static_cast<int>(distance),
                                                          config_.relative_attention_num_buckets,
                                                          config_.relative_attention_max_distance));
  all.buckets = context.arena.tensor(DType::i32, {2 * longest - 1});
  transfer({bucket_of_distance.data(), DType::i32, all.buckets.shape()}, all.buckets, context);

  for (const Block& block : blocks_) {
    context.check_cancelled();
    const auto used = weights_.use(block.weights, context);
    for (const TensorView& x : hidden) run_block(block, x, all, context);
  }
  std::vector<Tensor> states;
  for (const TensorView& x : hidden) {
    const TensorView y = all.y.slice(0, 0, x.size(0));
    ops::rms_norm({.x = x, .weight = final_norm_, .epsilon = config_.layer_norm_epsilon, .out = y},
                  context);
    states.emplace_back(DType::f32, x.shape(), context.device);
    ops::copy({.x = y, .out = states.back()}, context);
  }
  return states;
}

}  // namespace sparsevid
