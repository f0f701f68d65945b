#include "models/text/umt5.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "core/transfer.h"
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
  }
  table.add("encoder.final_layer_norm.weight", {dim}, final_norm_, nn::Precision::f32);
}

Umt5Encoder::Umt5Encoder(const Umt5Config& config, std::shared_ptr<const Checkpoint> checkpoint,
                         DType dtype, Context& context)
    : config_(config), dtype_(dtype), checkpoint_(std::move(checkpoint)) {
  nn::WeightTable table(dtype);
  declare(table);
  weights_ = table.load(*checkpoint_, context);
}

nn::WeightMismatch Umt5Encoder::check(const Umt5Config& config, const Checkpoint& checkpoint) {
  Umt5Encoder unloaded(config, DType::f32);
  nn::WeightTable table(DType::f32);
  unloaded.declare(table);
  return table.compare(checkpoint);
}

MemoryNeed Umt5Encoder::memory(const Umt5Config& config, DType dtype, int tokens) {
  Umt5Encoder unloaded(config, dtype);
  nn::WeightTable table(dtype);
  unloaded.declare(table);
  return {table.bytes(), unloaded.workspace_bytes(tokens)};
}

std::size_t Umt5Encoder::workspace_bytes(int tokens) const {
  const auto n = static_cast<std::size_t>(tokens);
  const auto inner = static_cast<std::size_t>(config_.num_heads * config_.d_kv);
  const auto dim = static_cast<std::size_t>(config_.d_model);
  return n * (2 * dim + 4 * inner + 2 * static_cast<std::size_t>(config_.d_ff)) * size_of(dtype_) +
         n * n * static_cast<std::size_t>(config_.num_heads) * sizeof(float);
}

Tensor Umt5Encoder::encode(std::span<const int> ids, Context& context) {
  const Zone zone(context.profile, "text_encoder");
  for (const int id : ids)
    require(id >= 0 && id < config_.vocab_size, ErrorKind::bad_input,
            "text encoder: expected tokens below {}, its vocab_size, found {}: does the tokenizer "
            "belong to it?",
            config_.vocab_size, id);
  const auto tokens = static_cast<std::int64_t>(ids.size());
  const std::int64_t dim = config_.d_model;
  const std::int64_t heads = config_.num_heads;
  const Shape split = {tokens, heads, config_.d_kv};
  const Shape inner = {tokens, heads * config_.d_kv};

  const Arena::Scope scope(context.arena);
  const auto take = [&](const Shape& shape) { return context.arena.tensor(dtype_, shape); };
  const TensorView x = take({tokens, dim});
  const TensorView y = take({tokens, dim});
  const TensorView q = take(inner);
  const TensorView k = take(inner);
  const TensorView v = take(inner);
  const TensorView attended = take(inner);
  const TensorView gate = take({tokens, config_.d_ff});
  const TensorView up = take({tokens, config_.d_ff});
  const TensorView bias = context.arena.tensor(DType::f32, {heads, tokens, tokens});

  const TensorView id_view = context.arena.tensor(DType::i32, {tokens});
  transfer({const_cast<int*>(ids.data()), DType::i32, {tokens}}, id_view, context);
  std::vector<int> bucket_of_distance;
  for (std::int64_t distance = 1 - tokens; distance < tokens; ++distance)
    bucket_of_distance.push_back(relative_position_bucket(static_cast<int>(distance),
                                                          config_.relative_attention_num_buckets,
                                                          config_.relative_attention_max_distance));
  const TensorView buckets = context.arena.tensor(DType::i32, {2 * tokens - 1});
  transfer({bucket_of_distance.data(), DType::i32, buckets.shape()}, buckets, context);

  ops::embedding({.ids = id_view, .table = embedding_, .out = x}, context);
  for (const Block& block : blocks_) {
    context.check_cancelled();
    ops::relative_position_bias({.table = block.position_bias, .buckets = buckets, .bias = bias},
                                context);
    ops::rms_norm(
        {.x = x, .weight = block.attention_norm, .epsilon = config_.layer_norm_epsilon, .out = y},
        context);
    block.q.apply(y, q, context);
    block.k.apply(y, k, context);
    block.v.apply(y, v, context);
    ops::attention({.q = q.reshape(split).transpose(0, 1),
                    .k = k.reshape(split).transpose(0, 1),
                    .v = v.reshape(split).transpose(0, 1),
                    .out = attended.reshape(split).transpose(0, 1),
                    .scale = 1,
                    .bias = bias},
                   context);
    block.o.apply(attended, y, context);
    ops::gated_residual({.x = x, .y = y}, context);

    ops::rms_norm(
        {.x = x, .weight = block.mlp_norm, .epsilon = config_.layer_norm_epsilon, .out = y},
        context);
    block.wi_0.apply(y, gate, context, ops::Activation::gelu_tanh);
    block.wi_1.apply(y, up, context);
    ops::activate({.x = gate, .factor = up, .out = gate}, context);
    block.wo.apply(gate, y, context);
    ops::gated_residual({.x = x, .y = y}, context);
  }
  ops::rms_norm({.x = x, .weight = final_norm_, .epsilon = config_.layer_norm_epsilon, .out = y},
                context);
  Tensor states(DType::f32, {tokens, dim}, context.device);
  ops::copy({.x = y, .out = states}, context);
  return states;
}

}  // namespace sparsevid
