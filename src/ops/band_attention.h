// Attention inside a band around the diagonal, in frame-major or position-major order, with sinks.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct BandAttentionParams {
  TensorView q;  ///< [heads, seq_len, head_dim] f32 or bf16, in token order; contiguous last axis
  TensorView k;  ///< like q
  TensorView v;  ///< like q
  int video_begin =
      0;  ///< first video token; tokens outside [video_begin, +frames*positions) are dense
  int frames = 1;
  int positions = 1;    ///< tokens per frame
  TensorView temporal;  ///< [heads] u8: 0 = band in frame-major order, 1 = in position-major order
  std::int64_t width = 0;  ///< video key j is seen by video query i if |i - j| <= width in the
                           ///< head's order, or if j is in the first frame (Sparse VideoGen 3.2)
  double scale = 1;
  TensorView out;  ///< like q, in token order; any strides but a contiguous last axis
};

void band_attention(const BandAttentionParams& params, Context& context);
const ImplementationList<BandAttentionParams>& band_attention_implementations();

}  // namespace sparsevid::ops
