// What all sparse methods share: which calls stay dense, padding, batches, statistics.
#pragma once

#include <functional>
#include <vector>

#include "attention/attention_method.h"
#include "attention/dense_policy.h"
#include "attention/methods/quality.h"
#include "attention/options.h"
#include "core/readback.h"

namespace sparsevid {

/// One element of the batch, without padding.
struct HeadsCall {
  TensorView q;    ///< [heads, seq_len, head_dim]
  TensorView k;    ///< like q
  TensorView v;    ///< like q
  TensorView out;  ///< like q
  std::array<int, 3> grid;
  Segment video;  ///< the one video segment; every other token is text
  double scale;
  int layer;
  int step;
  int branch;
  int batch;
  bool in_8bit;  ///< dense or block-sparse attention; not in a band

  std::int64_t heads() const { return q.size(0); }
  std::int64_t tokens() const { return q.size(1); }
  std::int64_t text_tokens() const { return tokens() - video.length; }
};

class SparseMethod : public AttentionMethod {
 public:
  SparseMethod(const AttentionOptions& options, const AttentionFacts& facts);

  void run(const AttentionCall& call, const TensorView& out, Context& context) final;
  void end_step() final { readback_.finish(); }
  const AttentionStats& stats() const final { return stats_; }

 protected:
  /// Attention of one element of the batch; adds the density of each head to density_slot().
  virtual void run_heads(const HeadsCall& call, Context& context) = 0;
  /// Called in dense steps of layers that will be sparse.
  virtual void prepare(const HeadsCall& call, Context& context);
  /// Whether the last run_heads computed this pair; for measuring the quality.
  virtual bool computed(std::int64_t head, std::int64_t query, std::int64_t key) const = 0;

  const AttentionOptions& options() const { return options_; }
  /// Finds the densities of the running call, at any later time.
  std::function<std::vector<double>&()> density_slot() {
    return [ this, call = stats_.calls.size() - 1 ]() -> auto& {
      return stats_.calls[call].head_density;
    };
  }
  ClusterHealth& cluster_health() { return stats_.clusters; }
  Readback& readback() { return readback_; }

 private:
  AttentionOptions options_;
  DensePolicy policy_;
  AttentionStats stats_;
  Readback readback_;
};

/// Dense attention of one element of the batch.
void attend_densely(const HeadsCall& call, Context& context);

}  // namespace sparsevid
