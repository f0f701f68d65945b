// The interface between models, which state what they attend over, and methods, which decide how.
#pragma once

#include "attention/attention_stats.h"
#include "attention/token_layout.h"
#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid {

struct AttentionCall {
  /// [batch, heads, seq_len, head_dim] f32 or bf16; any strides, contiguous last axis
  TensorView q;
  TensorView k;  ///< like q
  TensorView v;  ///< like q
  const TokenLayout& layout;
  double scale;
  int layer;
  int step;
  int branch;  ///< 0 conditional, 1 unconditional
};

/// One object per generation; keeps its state by (layer, branch).
class AttentionMethod {
 public:
  virtual ~AttentionMethod() = default;
  /// Self-attention of the whole sequence into `out`, shaped like call.q, any strides with a
  /// contiguous last axis.
  virtual void run(const AttentionCall& call, const TensorView& out, Context& context) = 0;
  /// A denoising step is over and all its work done: what was measured on a GPU can be read.
  virtual void end_step() {}
  /// What it did up to the last end_step().
  virtual const AttentionStats& stats() const = 0;
};

}  // namespace sparsevid
