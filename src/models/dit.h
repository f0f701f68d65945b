// A video diffusion transformer: noisy latents and text states in, a velocity out.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "attention/attention_method.h"
#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

struct DitInput {
  TensorView latents;  ///< [channels, frames, height, width] f32
  double timestep;     ///< as the scheduler hands it to the model
  int step;            ///< index of the denoising step, for the attention method
  int branch;          ///< 0 conditional, 1 unconditional: which text was set
};

/// In which types a transformer keeps its weights, and where.
struct DitWeights {
  DType dtype = DType::f32;  ///< of the large matrices and of the activations
  bool fp8 = false;          ///< the matrices that all tokens pass are kept and multiplied in e4m3
  int streamed_blocks = 0;   ///< blocks that stay in host memory and are brought when they are due
};

class Dit {
 public:
  virtual ~Dit() = default;
  virtual int latent_channels() const = 0;
  virtual int layers() const = 0;
  virtual int heads() const = 0;
  virtual int head_dim() const = 0;
  virtual std::array<int, 3> patch() const = 0;
  /// Token layout of latents [channels, frames, height, width].
  virtual TokenLayout layout(const Shape& latents) const = 0;
  virtual std::size_t weight_bytes() const = 0;

  /// Takes the states of each branch's prompt, [tokens, text_dim] f32 (the true tokens only), and
  /// keeps what does not depend on the step (keys and values of cross attention).
  virtual void set_texts(std::span<const TensorView> states, Context& context) = 0;
  /// Writes the velocity, [channels, frames, height, width] f32.
  virtual void forward(const DitInput& input, AttentionMethod& attention,
                       const TensorView& velocity, Context& context) = 0;
  virtual DType dtype() const = 0;
};

}  // namespace sparsevid
