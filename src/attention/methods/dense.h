// Dense attention: the method everything else is compared with.
#pragma once

#include "attention/attention_method.h"

namespace sparsevid {

class DenseAttention : public AttentionMethod {
 public:
  explicit DenseAttention(bool in_8bit = false) : in_8bit_(in_8bit) { stats_.method = "dense"; }
  void run(const AttentionCall& call, const TensorView& out, Context& context) override;
  const AttentionStats& stats() const override { return stats_; }

 private:
  bool in_8bit_;
  AttentionStats stats_;
};

}  // namespace sparsevid
