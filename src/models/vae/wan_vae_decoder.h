// The decoder half of Wan's VAE.
#pragma once

#include <vector>

#include "models/vae/wan_vae_config.h"
#include "models/vae/wan_vae_layers.h"

namespace sparsevid {

class WanVaeDecoder {
 public:
  /// `products`: how the convolutions of an f32 decoder may multiply.
  void declare(nn::WeightTable& table, const WanVaeConfig& config, ops::F32Products products);
  /// After loading; folds the latents' mean and deviation into the first layer.
  void finish(Context& context);

  /// Decodes the next latent frames [frames, height, width, z_dim] of a sequence. Returns scratch
  /// [frames', 8 height, 8 width, 3], valid until the caller's Scope ends; frames' is 4 frames,
  /// less 3 for the first of a sequence.
  TensorView decode_chunk(FrameCache& cache, const TensorView& latents, bool first,
                          Context& context) const;
  /// Bytes of scratch that decode_chunk and the use of its frames take for one latent frame of
  /// height x width.
  std::size_t workspace_bytes(std::int64_t height, std::int64_t width, Device device) const;
  /// Bytes of the cache then.
  std::size_t remembered_bytes(std::int64_t height, std::int64_t width) const;
  /// Bytes of the copies of their weights that a GPU's convolutions keep in the order of their use.
  std::size_t packed_bytes() const;

 private:
  struct UpBlock {
    std::vector<VaeResidualBlock> resnets;
    bool upsamples = false;
    bool upsamples_time = false;
    CausalConv time_conv;
    FrameConv resample;
  };

  // A convolution and what it reads at once, for one latent frame.
  struct ConvUse {
    std::int64_t in, out, taps;
    std::int64_t remembered, frames;  // frames it stages: both
    std::int64_t pixels;              // of a frame
  };

  // Calls visit(weight, use) for each, in order, for latents of height x width.
  template <class Decoder, class Visit>
  static void each_conv(Decoder& decoder, std::int64_t height, std::int64_t width,
                        const Visit& visit);

  // Two buffers that layers read from and write to in turn.
  struct Buffers {
    void* current;
    void* other;
    DType dtype;
    Device device;
    TensorView in_current(const Shape& shape) const { return {current, dtype, shape, device}; }
    TensorView in_other(const Shape& shape) const { return {other, dtype, shape, device}; }
  };

  TensorView upsample(const UpBlock& block, FrameCache& cache, const TensorView& x, bool first,
                      Buffers& buffers, Context& context) const;
  // Bytes of the largest staged input once more, as two halves of each element.
  std::size_t split_bytes(std::int64_t height, std::int64_t width) const;
  // Elements of the largest tensor between layers, for `frames` latent frames.
  std::int64_t largest(std::int64_t frames, std::int64_t height, std::int64_t width) const;

  WanVaeConfig config_;
  DType dtype_ = DType::f32;
  ops::F32Products products_ = ops::F32Products::exact;
  TensorView post_quant_weight_, post_quant_bias_;  // as stored
  Tensor folded_weight_, folded_bias_;              // with mean and deviation folded in
  nn::Linear post_quant_;
  CausalConv conv_in_, conv_out_;
  VaeMidBlock mid_;
  std::vector<UpBlock> up_blocks_;
  TensorView norm_out_;
};

}  // namespace sparsevid
