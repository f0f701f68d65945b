// The layers of Wan's VAE over channels-last video, run a chunk of time at a time.
#pragma once

#include <string>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "nn/linear.h"
#include "nn/weight_table.h"
#include "ops/conv_weight.h"

namespace sparsevid {

/// The frames each causal convolution has to remember from the previous chunk, so that chunks give
/// what the whole sequence would. One per decode or encode.
class FrameCache {
 public:
  /// Scratch for an input [remembered + frames, height, width, channels]: the remembered frames are
  /// filled in (zeros at the start of the sequence), the caller writes the rest.
  TensorView stage(int slot, int remembered, const Shape& frames, DType dtype, Context& context);
  /// Keeps the last `remembered` frames of a staged input for the next chunk.
  void keep(int slot, int remembered, const TensorView& staged, Context& context);
  /// True until the first keep() of a slot.
  bool fresh(int slot) const;
  std::size_t bytes() const;

 private:
  std::vector<Tensor> frames_;  // by slot
};

/// A convolution over time and space whose padding in time is in front only.
struct CausalConv {
  ops::ConvWeight weight;
  TensorView bias;
  std::int64_t in = 0;
  std::int64_t out = 0;
  int kernel_time = 3;
  int kernel_space = 3;
  int slot = 0;

  void declare(nn::WeightTable& table, const std::string& name, std::int64_t in_channels,
               std::int64_t out_channels, int time, int space, int& next_slot);
  int remembered() const { return kernel_time - 1; }
  /// Input to be filled by the caller: stage(...).slice behind the remembered frames.
  TensorView stage(FrameCache& cache, const Shape& frames, DType dtype, Context& context) const;
  /// staged [remembered + frames, height, width, in] -> out [frames, height, width, out]
  void apply(FrameCache& cache, const TensorView& staged, const TensorView& out_frames,
             Context& context) const;
};

/// A 3x3 convolution within each frame.
struct FrameConv {
  ops::ConvWeight weight;
  TensorView bias;
  std::int64_t in = 0;
  std::int64_t out = 0;

  void declare(nn::WeightTable& table, const std::string& name, std::int64_t in_channels,
               std::int64_t out_channels);
  void finish() { weight.plain = weight.plain.reshape({out, in, 1, 3, 3}); }
};

/// norm, SiLU, conv, norm, SiLU, conv, plus the input (through a 1x1x1 convolution where the number
/// of channels changes).
struct VaeResidualBlock {
  TensorView norm1, norm2;
  CausalConv conv1, conv2;
  nn::Linear shortcut;  // weight undefined: identity

  void declare(nn::WeightTable& table, const std::string& name, std::int64_t in, std::int64_t out,
               int& next_slot);
  /// After loading: views of the stored weights in the shapes the layers use.
  void finish();
  /// x [frames, height, width, in] -> out [.., out]; they must not overlap.
  void apply(FrameCache& cache, const TensorView& x, const TensorView& out, Context& context) const;

 private:
  TensorView shortcut_weight_;  // [out, in, 1, 1, 1], as stored
};

/// Residual block, attention within each frame, residual block.
struct VaeMidBlock {
  VaeResidualBlock before, after;
  TensorView norm;
  nn::Linear to_qkv, proj;

  void declare(nn::WeightTable& table, const std::string& name, std::int64_t channels,
               int& next_slot);
  void finish();
  /// x is read and overwritten with the result; `scratch` has the same shape.
  void apply(FrameCache& cache, const TensorView& x, const TensorView& scratch,
             Context& context) const;

 private:
  void attend(const TensorView& x, Context& context) const;
  TensorView to_qkv_weight_, proj_weight_;  // [.., 1, 1], as stored
};

/// [frames, height, width, channels] as rows of channels.
TensorView pixel_rows(const TensorView& x);

/// out = norm(x), through SiLU if asked; x and out of one shape.
void channel_norm(const TensorView& x, const TensorView& gamma, bool silu, const TensorView& out,
                  Context& context);

}  // namespace sparsevid
