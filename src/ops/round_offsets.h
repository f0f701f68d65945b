// Clusters whose sizes are multiples of what a kernel computes at once.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct RoundOffsetsParams {
  TensorView offsets;  ///< [heads, clusters + 1] i32, ascending; rows may be strided
  int multiple = 1;    ///< at least 1
  TensorView rounded;  ///< like offsets, written; may be offsets
};
/// Moves each boundary between neighbouring clusters to the nearest multiple of `multiple`, halves
/// up, but not past the last offset; the first and the last offset stay. With a first offset of 0
/// every size becomes a multiple, except that of the last cluster that is not empty; small clusters
/// may vanish into their neighbours.

void round_offsets(const RoundOffsetsParams& params, Context& context);
const ImplementationList<RoundOffsetsParams>& round_offsets_implementations();

}  // namespace sparsevid::ops
