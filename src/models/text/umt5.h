// The UMT5 text encoder (UMT5EncoderModel), Wan's.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "io/json.h"
#include "models/memory_need.h"
#include "models/text_encoder.h"
#include "nn/linear.h"
#include "nn/weight_table.h"

namespace sparsevid {

/// text_encoder/config.json; field names are the config's keys.
struct Umt5Config {
  int d_model;
  int d_kv;
  int d_ff;
  int num_heads;
  int num_layers;
  int vocab_size;
  int relative_attention_num_buckets;
  int relative_attention_max_distance;
  double layer_norm_epsilon;

  /// Throws Error(bad_file) for keys out of range and for another feed_forward_proj than
  /// gated-gelu.
  static Umt5Config parse(const Json& json);
};

class Umt5Encoder final : public TextEncoder {
 public:
  /// `dtype` f32 or bf16: what weights and activations use. `passing`: each block's weights are
  /// read when the block is due, and not kept.
  Umt5Encoder(const Umt5Config& config, std::shared_ptr<const Checkpoint> checkpoint, DType dtype,
              bool passing, Context& context);

  int dim() const override { return config_.d_model; }
  std::size_t weight_bytes() const override { return weights_.bytes(); }
  std::vector<Tensor> encode(std::span<const std::vector<int>> ids, Context& context) override;

  /// What a checkpoint of this config has to hold, without loading it.
  static nn::WeightMismatch check(const Umt5Config& config, const Checkpoint& checkpoint);
  /// What a model of this config takes, from the config alone; `tokens` of each prompt.
  static MemoryNeed memory(const Umt5Config& config, DType dtype, bool passing, Device device,
                           std::span<const int> tokens);

 private:
  /// Without weights, for check() and memory().
  Umt5Encoder(const Umt5Config& config, DType dtype, bool passing)
      : config_(config), dtype_(dtype), passing_(passing) {}

  struct Block {
    TensorView attention_norm, mlp_norm;  // [d_model] f32
    nn::Linear q, k, v, o;
    TensorView position_bias;  // [num_buckets, num_heads] f32
    nn::Linear wi_0, wi_1, wo;
    int weights = 0;  // their group
  };
  struct Activations;

  void declare(nn::WeightTable& table);
  std::size_t workspace_bytes(std::span<const int> tokens) const;
  /// Rows of the table as the encoder computes with them, on the context's device.
  void embed(std::span<const int> ids, const TensorView& out, Context& context) const;
  void run_block(const Block& block, const TensorView& x, const Activations& all,
                 Context& context) const;

  Umt5Config config_;
  DType dtype_;
  bool passing_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  nn::LoadedWeights weights_;
  TensorView embedding_;  // [vocab_size, d_model], as stored, in the mapped file
  TensorView final_norm_;
  std::vector<Block> blocks_;
};

/// The bucket of key_position - query_position, in [0, buckets): half for each sign, exact for
/// small distances, logarithmic up to max_distance (T5, bidirectional).
int relative_position_bucket(int distance, int buckets, int max_distance);

}  // namespace sparsevid
