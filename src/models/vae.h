// Latents to frames and back, a chunk of time at a time.
#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

class Vae {
 public:
  virtual ~Vae() = default;
  virtual int latent_channels() const = 0;
  virtual std::array<int, 3> compression() const = 0;  ///< time, height, width: 4, 8, 8 for Wan
  virtual std::size_t weight_bytes() const = 0;
  /// Bytes of scratch to decode latents [channels, frames, height, width]; free of the frame count.
  virtual std::size_t decode_workspace_bytes(const Shape& latents) const = 0;

  /// `frames` is [count, height, width, 3] f32, nominally in [-1, 1] but not clamped (ops::to_rgb8
  /// does that), in order, valid during the call.
  using FrameSink = std::function<void(const TensorView& frames)>;
  /// Decodes normalised latents [channels, frames, height, width] f32 (mean 0, deviation 1 per
  /// channel, as the transformer sees them), handing frames to the sink chunk by chunk.
  virtual void decode(const TensorView& latents, const FrameSink& sink, Context& context) = 0;
  /// Encodes frames [4k+1, height, width, 3] f32 in [-1, 1] to normalised latents (the mean of the
  /// posterior), [channels, k+1, height/8, width/8] f32.
  virtual Tensor encode(const TensorView& frames, Context& context) = 0;
};

}  // namespace sparsevid
