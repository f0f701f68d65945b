// The VAE of Wan 2.1 (AutoencoderKLWan), streaming over time.
#pragma once

#include <memory>

#include "models/memory_need.h"
#include "models/vae.h"
#include "models/vae/wan_vae_config.h"
#include "models/vae/wan_vae_decoder.h"
#include "models/vae/wan_vae_encoder.h"

namespace sparsevid {

class WanVae final : public Vae {
 public:
  /// `dtype` f32 (as the model is used upstream) or bf16; `products`: how the convolutions of an
  /// f32 decoder may multiply. Its linear layers and its attention, a hundredth of the work, and
  /// the encoder stay exact.
  WanVae(const WanVaeConfig& config, std::shared_ptr<const Checkpoint> checkpoint, DType dtype,
         ops::F32Products products, Context& context);

  int latent_channels() const override { return config_.z_dim; }
  std::array<int, 3> compression() const override;
  std::size_t weight_bytes() const override { return weights_.bytes(); }
  std::size_t decode_workspace_bytes(const Shape& latents) const override;
  void decode(const TensorView& latents, const FrameSink& sink, Context& context) override;
  Tensor encode(const TensorView& frames, Context& context) override;

  /// What a checkpoint of this config has to hold, without loading it.
  static nn::WeightMismatch check(const WanVaeConfig& config, const Checkpoint& checkpoint);
  /// What decoding latents of this shape takes, from the config alone.
  static MemoryNeed memory(const WanVaeConfig& config, DType dtype, ops::F32Products products,
                           Device device, const Shape& latents);

 private:
  WanVaeConfig config_;
  DType dtype_;
  Device device_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  nn::LoadedWeights weights_;
  WanVaeDecoder decoder_;
  WanVaeEncoder encoder_;
};

}  // namespace sparsevid
