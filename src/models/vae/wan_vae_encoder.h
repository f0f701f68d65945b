// The encoder half of Wan's VAE.
#pragma once

#include <vector>

#include "models/vae/wan_vae_config.h"
#include "models/vae/wan_vae_layers.h"

namespace sparsevid {

class WanVaeEncoder {
 public:
  void declare(nn::WeightTable& table, const WanVaeConfig& config);
  /// After loading; folds the latents' mean and deviation into the last layer.
  void finish(Context& context);

  /// Encodes the next frames [frames, height, width, 3] of a sequence: 1 frame for the first chunk,
  /// then as many as make one latent frame (4). Returns normalised latents
  /// [1, height/8, width/8, z_dim], scratch valid until the caller's Scope ends.
  TensorView encode_chunk(FrameCache& cache, const TensorView& frames, bool first,
                          Context& context) const;

 private:
  struct DownBlock {
    std::vector<VaeResidualBlock> resnets;
    bool downsamples = false;
    bool downsamples_time = false;
    FrameConv resample;
    CausalConv time_conv;
  };

  TensorView downsample(const DownBlock& block, FrameCache& cache, const TensorView& x, bool first,
                        Context& context) const;

  WanVaeConfig config_;
  DType dtype_ = DType::f32;
  CausalConv conv_in_, conv_out_;
  std::vector<DownBlock> down_blocks_;
  VaeMidBlock mid_;
  TensorView norm_out_;
  TensorView quant_weight_, quant_bias_;  // as stored
  Tensor folded_weight_, folded_bias_;    // the mean's rows, normalised
  nn::Linear quant_;
};

}  // namespace sparsevid
