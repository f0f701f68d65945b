// How much a choice of cluster pairs may spend, as options and layout say.
#pragma once

#include "attention/methods/clustering.h"
#include "attention/options.h"
#include "ops/choose_clusters.h"

namespace sparsevid {

/// Pairs of video tokens that a head may compute, so that with all pairs of text tokens the density
/// of `density` is met; 0 if the text alone passes it.
double video_pairs(const HeadsCall& call, double density);

/// Key clusters in descending order of `priority` until the sum of `scores` passes top_p, or the
/// video pairs of `density` are spent. Row by row: at least one, and with top_p at least the
/// min_clusters share of the key clusters. scores, priority: [heads, video_q_clusters,
/// video_k_clusters] f32.
ops::ChooseClustersParams choice_per_row(const AttentionOptions& options, const HeadsCall& call,
                                         const Clusters& clusters, const TensorView& scores,
                                         const TensorView& priority);

/// The same with one threshold on the priority for all query clusters and heads. Only with a tail
/// may a query cluster be left without any: it still has an output.
ops::ChooseClustersParams choice_shared(const AttentionOptions& options, const HeadsCall& call,
                                        const Clusters& clusters, const TensorView& scores,
                                        const TensorView& priority);

}  // namespace sparsevid
