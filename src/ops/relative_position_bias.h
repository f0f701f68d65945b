// T5's additive attention bias: one learnt number per head and bucket of distance.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct RelativePositionBiasParams {
  TensorView table;    ///< [buckets, heads] f32, contiguous
  TensorView buckets;  ///< [q_len + k_len - 1] i32: bucket of key - query, from -(q_len - 1) on
  TensorView bias;     ///< [heads, q_len, k_len] f32, contiguous, written:
                       ///< bias[h, q, k] = table[buckets[k - q + q_len - 1], h]
};

void relative_position_bias(const RelativePositionBiasParams& params, Context& context);
const ImplementationList<RelativePositionBiasParams>& relative_position_bias_implementations();

}  // namespace sparsevid::ops
