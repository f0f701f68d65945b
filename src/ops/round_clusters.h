// Clusters whose sizes are multiples of what a kernel computes at once.
#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "ops/implementation_list.h"

namespace sparsevid::ops {

struct RoundClustersParams {
  TensorView x;          ///< [heads, count, head_dim] f32 or bf16; contiguous last axis
  TensorView centroids;  ///< [heads, clusters, head_dim] f32: of the first clusters, which are
                         ///< rounded; what comes behind them stays as it is
  TensorView order;      ///< [heads, count] i32, of the labels, as by cluster_order
  TensorView offsets;    ///< [heads, clusters + 1 or more] i32, beginning at 0
  int multiple = 1;      ///< at least 1
  TensorView labels;     ///< [heads, count] i32, rows may be strided; written for the tokens that
                         ///< move
};
/// Moves as few tokens as possible as little as possible.
///
/// Wanted sizes: the clusters with the largest remainders are rounded up, as many as there are
/// multiples in the sum of all remainders; the next one takes what is left over, so it alone is no
/// multiple; the others are rounded down. Of equals the lower number comes first.
///
/// Who moves is found by an auction. A token may go to the kRoundNeighbours clusters whose
/// centroids are nearest to its first one's, or back; that costs |x - c|^2 - |x - c_first|^2 and
/// the price of the cluster, at first 0. In each of at most kRoundRounds rounds all clusters with
/// too many tokens send so many away to where it is cheapest for them: those who lose least, of
/// equals the first ones in `order`. The price of such a cluster rises to what the last of them
/// lost by leaving, if that is more, and by kRoundStep of the mean squared distance from a
/// centroid to the nearest other one. So a surplus wanders by short steps to where room is. What
/// has found none after the last round stays: a few clusters are then off by a few tokens.
/// Empty clusters stay empty. Costs and prices in f32.
inline constexpr int kRoundNeighbours = 8;
inline constexpr int kRoundRounds = 32;
inline constexpr float kRoundStep = .2F;

void round_clusters(const RoundClustersParams& params, Context& context);
const ImplementationList<RoundClustersParams>& round_clusters_implementations();

}  // namespace sparsevid::ops
