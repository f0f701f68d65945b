// The share of all (query, key) pairs that a choice of cluster pairs computes.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct PairDensityParams {
  TensorView chosen;     ///< [heads, q_clusters, k_clusters] u8, contiguous: 0 or 1
  TensorView q_offsets;  ///< [heads, q_clusters + 1] i32
  TensorView k_offsets;  ///< [heads, k_clusters + 1] i32
  TensorView density;    ///< [heads] f64, written: chosen pairs / (all queries * all keys), the
                         ///< quotient of two exact numbers; 1 is exactly 1
};

void pair_density(const PairDensityParams& params, Context& context);
const ImplementationList<PairDensityParams>& pair_density_implementations();

}  // namespace sparsevid::ops
