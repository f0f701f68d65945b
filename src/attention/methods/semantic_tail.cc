#include "attention/methods/semantic_tail.h"

#include "attention/methods/cluster_budget.h"
#include "ops/cluster_errors.h"

namespace sparsevid {

Clustering::Wanted SemanticTailAttention::wanted() const {
  return {.choice = true, .v_mean = options().tail, .k_variance = options().error_per_token};
}

void SemanticTailAttention::choose(const HeadsCall& call, const Clusters& clusters,
                                   Context& context) {
  const Arena::Scope scope(context.arena);
  TensorView score;
  TensorView priority;
  {
    const Zone zone(context.profile, "attention.score");
    score = scores(call, clusters, options().scores_from_queries, context);
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
