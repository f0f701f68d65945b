// Semantic attention with a tail: docs/methods/semantic-tail.md.
#pragma once

#include "attention/methods/semantic.h"

namespace sparsevid {

/// SVG2 with four separate switches (AttentionOptions: tail, scores_from_queries, error_per_token,
/// shared_threshold); with all of them off it is SemanticAttention.
class SemanticTailAttention : public SemanticAttention {
 public:
  using SemanticAttention::SemanticAttention;

 protected:
  Clustering::Wanted wanted() const override;
  void choose(const HeadsCall& call, const Clusters& clusters, Context& context) override;
};

}  // namespace sparsevid
