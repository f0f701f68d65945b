#include "attention/methods/semantic_tail.h"

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

void SemanticTailAttention::choose(const HeadsCall& call, const Clusters& clusters,
                                   Context& context) {
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
  const auto choice = options().shared_threshold ? choice_shared : choice_per_row;
  ops::choose_clusters(choice(options(), call, clusters, score, priority), context);
}

}  // namespace sparsevid
