// Dense attention: the method everything else is compared with.
#pragma once

#include "attention/attention_method.h"

namespace sparsevid {

class DenseAttention : public AttentionMethod {
 public:
  DenseAttention() { stats_.method = "dense"; }
  void run(const AttentionCall& call, const TensorView& out, Context& context) override;
  const AttentionStats& stats() const override { return stats_; }

 private:
  AttentionStats stats_;
};

}  // namespace sparsevid
