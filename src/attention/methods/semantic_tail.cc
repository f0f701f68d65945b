#include "attention/methods/semantic_tail.h"

#include <algorithm>

#include "attention/methods/choose.h"
#include "attention/methods/cluster_budget.h"
#include "ops/cluster_errors.h"
#include "ops/cluster_scores.h"

namespace sparsevid {

Clustering::Wanted SemanticTailAttention::wanted() const {
  return {.choice = true, .v_mean = options().tail, .k_variance = options().error_per_token};
}

TensorView SemanticTailAttention::scores(const HeadsCall& call, const Clusters& clusters,
                                         Context& context) const {
  const TensorView scores = context.arena.tensor(
      DType::f32, {call.heads(), clusters.video_q_clusters, clusters.video_k_clusters});
  ops::ClusterScoresParams params;
  if (options().scores_from_queries) {
    params.q = call.q;
    params.q_order = clusters.q_order;
    params.q_offsets = clusters.q_offsets.slice(1, 0, clusters.video_q_clusters + 1);
  } else {
    params.q = clusters.q_mean.slice(1, 0, clusters.video_q_clusters);
  }
  params.k_mean = clusters.k_mean.slice(1, 0, clusters.video_k_clusters);
  params.k_offsets = clusters.k_offsets.slice(1, 0, clusters.video_k_clusters + 1);
  params.scale = call.scale;
  params.scores = scores;
  ops::cluster_scores(params, context);
  return scores;
}

namespace {

/// One threshold on the priority for all query clusters and heads: [heads, q, k] f32, contiguous.
void choose_shared(const AttentionOptions& options, const HeadsCall& call, const Clusters& clusters,
                   const TensorView& scores, const TensorView& priority, const TensorView& chosen,
                   Context& context) {
  const Arena::Scope scope(context.arena);
  const std::int64_t columns = chosen.size(2);
  const auto entries = static_cast<std::size_t>(scores.numel());
  auto* weight = context.arena.array<float>(scores.numel());
  auto* kept = context.arena.array<std::uint8_t>(scores.numel());
  double mass = 0;
  for (std::int64_t head = 0, n = 0; head < chosen.size(0); ++head) {
    for (std::int64_t i = 0; i < chosen.size(1); ++i) {
      const int queries = Clusters::size(clusters.q_offsets, head, i);
      mass += queries;
      for (std::int64_t j = 0; j < columns; ++j, ++n) {
        weight[n] =
            static_cast<float>(queries) *
            (options.top_p ? scores.as<float>()[n]
                           : static_cast<float>(Clusters::size(clusters.k_offsets, head, j)));
      }
    }
  }
  const double budget = options.top_p ? *options.top_p * mass
                                      : video_pairs(call, options.density.value_or(0)) *
                                            static_cast<double>(call.heads());
  choose_by_threshold({priority.as<float>(), entries}, {weight, entries}, budget,
                      options.top_p ? Crossing::keep : Crossing::round, {kept, entries});
  for (std::int64_t head = 0, n = 0; head < chosen.size(0); ++head)
    for (std::int64_t i = 0; i < chosen.size(1); ++i, n += columns)
      std::copy_n(kept + n, columns, chosen[head][i].as<std::uint8_t>());
}

/// Without a tail a query cluster that kept nothing would have no output.
void keep_best_of_empty_rows(const Clusters& clusters, const TensorView& priority,
                             const TensorView& chosen) {
  for (std::int64_t head = 0; head < chosen.size(0); ++head) {
    for (std::int64_t i = 0; i < chosen.size(1); ++i) {
      auto* kept = chosen[head][i].as<std::uint8_t>();
      if (Clusters::size(clusters.q_offsets, head, i) == 0) continue;
      if (std::find(kept, kept + chosen.size(2), 1) != kept + chosen.size(2)) continue;
      const auto* row = priority[head][i].as<float>();
      std::int64_t best = -1;
      for (std::int64_t j = 0; j < chosen.size(2); ++j) {
        if (Clusters::size(clusters.k_offsets, head, j) == 0) continue;
        if (best < 0 || row[j] > row[best]) best = j;
      }
      kept[best] = 1;
    }
  }
}

}  // namespace

void SemanticTailAttention::choose(const HeadsCall& call, const Clusters& clusters,
                                   const TensorView& chosen, Context& context) {
  const Arena::Scope scope(context.arena);
  TensorView score;
  TensorView priority;
  {
    const Zone zone(context.profile, "attention.score");
    score = scores(call, clusters, context);
    priority = score;
    if (options().error_per_token) {
      priority = context.arena.tensor(DType::f32, score.shape());
      ops::cluster_errors(
          {score, clusters.q_mean.slice(1, 0, clusters.video_q_clusters),
           clusters.k_variance.slice(1, 0, clusters.video_k_clusters),
           clusters.k_offsets.slice(1, 0, clusters.video_k_clusters + 1), call.scale, priority},
          context);
    }
  }
  const Zone zone(context.profile, "attention.choose");
  if (options().shared_threshold) {
    choose_shared(options(), call, clusters, score, priority, chosen, context);
    if (!options().tail) keep_best_of_empty_rows(clusters, priority, chosen);
  } else {
    choose_per_row(options(), call, clusters, score, priority, chosen, context);
  }
}

}  // namespace sparsevid
