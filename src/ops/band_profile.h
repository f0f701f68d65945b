// Which band describes each head: the errors of both on a sample of queries.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct BandProfileParams {
  TensorView q;  ///< [heads, seq_len, head_dim] f32 or bf16, in token order; contiguous last axis
  TensorView k;  ///< like q
  TensorView v;  ///< like q
  TensorView rows;      ///< [heads, samples] i32: tokens of the video whose output is compared
  int video_begin = 0;  ///< as in band_attention.h
  int frames = 1;
  int positions = 1;
  std::int64_t width = 0;
  double scale = 1;
  TensorView errors;  ///< [heads, 2] f32, written: mean squared error of the sampled outputs under
                      ///< the band in frame-major order, and in position-major order
  TensorView temporal;  ///< [heads] u8, written: 1 where the second error is the smaller one; may
                        ///< be undefined
};
/// Sparse VideoGen 3.3, with the masks that band_attention uses afterwards.

void band_profile(const BandProfileParams& params, Context& context);
const ImplementationList<BandProfileParams>& band_profile_implementations();

}  // namespace sparsevid::ops
