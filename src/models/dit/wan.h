// The Wan 2.1 transformer (WanTransformer3DModel), text to video.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "models/dit.h"
#include "models/dit/wan_config.h"
#include "models/memory_need.h"
#include "nn/linear.h"
#include "nn/weight_table.h"

namespace sparsevid {

class WanDit final : public Dit {
 public:
  /// Norms, modulation and the time embedding stay in f32, as in the published model.
  WanDit(const WanConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
         const DitWeights& kept, Context& context);

  int latent_channels() const override { return config_.in_channels; }
  int layers() const override { return config_.num_layers; }
  int heads() const override { return config_.num_attention_heads; }
  int head_dim() const override { return config_.attention_head_dim; }
  std::array<int, 3> patch() const override { return config_.patch_size; }
  DType dtype() const override { return kept_.dtype; }
  TokenLayout layout(const Shape& latents) const override;
  std::size_t weight_bytes() const override { return weights_.bytes(); }
  void set_texts(std::span<const TensorView> states, Context& context) override;
  void forward(const DitInput& input, AttentionMethod& attention, const TensorView& velocity,
               Context& context) override;

  /// Called with the hidden states [tokens, dim] after each block; for parity tests.
  void observe_blocks(std::function<void(int layer, const TensorView& hidden)> observer) {
    observe_block_ = std::move(observer);
  }

  /// What a checkpoint of this config has to hold, without loading it.
  static nn::WeightMismatch check(const WanConfig& config, const Checkpoint& checkpoint);
  /// What a model of this config takes, from the config alone; `text_tokens` of each branch.
  static MemoryNeed memory(const WanConfig& config, const DitWeights& kept, Device device,
                           const Shape& latents, std::span<const int> text_tokens);

 private:
  /// Without weights, for check() and memory().
  WanDit(const WanConfig& config, const DitWeights& kept, Device device)
      : config_(config), kept_(kept), device_(device) {}

  struct Attention {
    nn::Linear to_q, to_k, to_v, to_out;
    TensorView norm_q, norm_k;  // [dim] f32
    void declare_queries(nn::WeightTable& table, const std::string& name, int dim);
    /// `of_tokens`: how keys' and values' matrices are kept.
    void declare_keys(nn::WeightTable& table, const std::string& name, int dim,
                      nn::Precision of_tokens);
  };
  struct Block {
    TensorView scale_shift_table;  // [1, 6, dim] f32
    Attention self, cross;
    TensorView norm2_weight, norm2_bias;  // [dim] f32; undefined without cross_attn_norm
    nn::Linear ffn_in, ffn_out;
    int weights = 0;       // group of what a forward uses
    int text_weights = 0;  // group of what makes keys and values of the text
  };
  // Keys and values of cross attention, one per layer; they depend on the prompt alone.
  struct Text {
    std::vector<Tensor> keys, values;  // [heads, tokens, head_dim]
    Tensor key_bias;                   // [tokens] f32
  };
  struct Activations;

  std::size_t workspace_bytes(const Shape& latents, std::size_t passing_weights,
                              std::span<const int> text_tokens) const;
  /// Tables of the rotation, and keys and values of the text.
  std::size_t kept_bytes(const Shape& latents, std::span<const int> text_tokens) const;
  bool streamed(int block) const;
  void declare(nn::WeightTable& table);
  void embed_time(double timestep, const TensorView& embedding, const TensorView& modulation,
                  Context& context) const;
  void prepare_rope(const Shape& latents, const Context& context);
  void self_attention(const Block& block, const TensorView& modulation, const AttentionCall& where,
                      AttentionMethod& attention, const Activations& act, Context& context) const;
  void cross_attention(const Block& block, const Text& text, int layer, const Activations& act,
                       Context& context) const;
  void feed_forward(const Block& block, const TensorView& modulation, const Activations& act,
                    Context& context) const;

  WanConfig config_;
  DitWeights kept_;
  Device device_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  nn::LoadedWeights weights_;
  nn::Linear patch_embedding_, time_in_, time_out_, time_proj_, text_in_, text_out_, proj_out_;
  TensorView patch_embedding_weight_;  // [dim, channels, pt, ph, pw], as stored
  TensorView scale_shift_table_;       // [1, 2, dim] f32
  std::vector<Block> blocks_;
  std::vector<Text> text_;  // by branch
  Shape rope_latents_;      // what the tables below were made for
  Tensor rope_cos_, rope_sin_;
  std::function<void(int, const TensorView&)> observe_block_;
};

}  // namespace sparsevid
