// f32 as sums of two bf16, in the order in which the convolution reads them.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/conv_weight.h"

namespace sparsevid::ops::cuda {

/// Channels come in groups of so many: first the upper halves of a group, then its lower halves.
constexpr int kSplitGroup = 32;

/// Elements of bf16 that `channels` of f32 become, zeros behind the last included.
inline std::int64_t split_places(std::int64_t channels) {
  return (channels + kSplitGroup - 1) / kSplitGroup * kSplitGroup * 2;
}
/// out [pixels, split_places(channels)] bf16 = x [pixels, channels] f32.
void split_pixels(const TensorView& x, const TensorView& out, Context& context);
/// The weight's copy [out, taps * split_places(in)], made at its first use.
TensorView split_weight(const ConvWeight& weight, Context& context);

}  // namespace sparsevid::ops::cuda
