// A video diffusion transformer: noisy latents and text states in, a velocity out.
#pragma once

#include <array>
#include <memory>
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
  /// Bytes of scratch one forward takes beyond the weights, for the memory plan.
  virtual std::size_t workspace_bytes(const Shape& latents) const = 0;
  virtual std::size_t weight_bytes() const = 0;

  /// Takes the states of one branch's prompt, [tokens, text_dim] f32 (the true tokens only), and
  /// keeps what does not depend on the step (keys and values of cross attention).
  virtual void set_text(int branch, const TensorView& states, Context& context) = 0;
  /// Writes the velocity, [channels, frames, height, width] f32.
  virtual void forward(const DitInput& input, AttentionMethod& attention,
                       const TensorView& velocity, Context& context) = 0;
  virtual DType dtype() const = 0;
};

}  // namespace sparsevid
