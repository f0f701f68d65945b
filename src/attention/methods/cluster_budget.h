// How much a choice of cluster pairs may spend, as options and layout say.
#pragma once

#include "attention/methods/clustering.h"
#include "attention/options.h"

namespace sparsevid {

/// Pairs of video tokens that a head may compute, so that with all pairs of text tokens the density
/// of `density` is met; 0 if the text alone passes it.
double video_pairs(const HeadsCall& call, double density);

/// For every query cluster by itself: chooses key clusters in descending order of `priority` until
/// the sum of `scores` passes top_p, or the video pairs of `density` are spent; at least one, and
/// with top_p at least the min_clusters share of the key clusters.
/// scores, priority: [heads, q_clusters, k_clusters] f32; chosen: u8; rows of all may be strided.
void choose_per_row(const AttentionOptions& options, const HeadsCall& call,
                    const Clusters& clusters, const TensorView& scores, const TensorView& priority,
                    const TensorView& chosen, Context& context);

}  // namespace sparsevid
