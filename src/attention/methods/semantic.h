// SVG2 (arXiv 2505.18875): attention over chosen pairs of k-means clusters.
#pragma once

#include "attention/methods/clustering.h"
#include "attention/methods/sparse_method.h"

namespace sparsevid {

class SemanticAttention : public SparseMethod {
 public:
  SemanticAttention(const AttentionOptions& options, const AttentionFacts& facts);

 protected:
  void run_heads(const HeadsCall& call, Context& context) override;
  void prepare(const HeadsCall& call, Context& context) override;
  bool computed(std::int64_t head, std::int64_t query, std::int64_t key) const override;

  /// Which statistics of the clusters choose() and the tail need.
  virtual Clustering::Wanted wanted() const { return {}; }
  /// Scores of the video's pairs of clusters, from every query or from the centroids of queries.
  static TensorView scores(const HeadsCall& call, const Clusters& clusters, bool from_queries,
                           Context& context);
  /// Writes clusters.chosen.
  virtual void choose(const HeadsCall& call, const Clusters& clusters, Context& context);

 private:
  Clustering clustering_;
  void remember(const Clusters& clusters, Context& context);

  // For computed(): the clusters of each token and what was chosen, of the last call.
  Tensor last_q_labels_;
  Tensor last_k_labels_;
  Tensor last_chosen_;
};

}  // namespace sparsevid
